"""The users of the admin, and what they did there, whichever page they did it on: the admin's own record."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Q
from django.http import HttpRequest
from knox.admin import AuthTokenAdmin, AuthTokenCreateForm
from knox.models import AuthToken, get_digest_token
from knox.settings import CONSTANTS
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from eventstore.admin import KeysetAdmin
from ordering import tokens
from ordering.api.access import SCOPES
from ordering.models import MachineToken
from ordering.password_reset import has_rights

RIGHTS = ["is_staff", "is_superuser", "groups", "user_permissions"]

admin.site.unregister([User, Group, AuthToken])


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's, with forms that look like the others. Only superusers give rights, or touch those who have some: who
    could set their passwords would have their rights.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        known = super().get_readonly_fields(request, obj)
        return known if request.user.is_superuser else [*known, *RIGHTS]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request.user, obj)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """Only superusers change what a group may: they would give themselves rights who are in it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)


class TokenForm(AuthTokenCreateForm):
    """With scopes it is one for a machine, and has a name."""

    name = forms.CharField(
        required=False, max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Which machine it is for."
    )
    scopes = forms.MultipleChoiceField(
        required=False,
        choices=[(scope, scope) for scope in SCOPES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it may do of all that its user may. Without any, it may do all of that.",
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("scopes") and not given.get("name"):
            self.add_error("name", "A token with scopes has a name.")
        if given.get("name") and not given.get("scopes"):
            self.add_error("scopes", "A token with a name has scopes.")
        return given

    def save(self, commit: bool = True) -> Any:
        token = super().save(commit=False)
        if self.cleaned_data["scopes"]:
            token.digest, self.token = get_digest_token(tokens.MACHINE)
            token.token_key = self.token[: CONSTANTS.TOKEN_KEY_LENGTH]
        return token


@admin.register(AuthToken)
class TokenAdmin(AuthTokenAdmin):
    """Only superusers make tokens, for they may be anybody's; others may end them."""

    add_form = TokenForm
    list_display = ["digest", "user", "machine", "may", "created", "expiry", "last_used"]
    list_select_related = ["user", "use", "machine"]

    def get_readonly_fields(self, request: HttpRequest, obj: AuthToken | None = None) -> Any:
        return ["machine", "may", "last_used"] if obj else []

    def save_model(self, request: HttpRequest, obj: AuthToken, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        given = form.cleaned_data
        if given["scopes"]:
            MachineToken.objects.create(token=obj, name=given["name"], scopes=given["scopes"])

    @admin.display(description="machine")
    def machine(self, token: AuthToken) -> str | None:
        return token.machine.name if hasattr(token, "machine") else None

    @admin.display(description="may")
    def may(self, token: AuthToken) -> str:
        return ", ".join(token.machine.scopes) if hasattr(token, "machine") else "all that its user may"

    @admin.display(description="last used, to the hour", empty_value="never", ordering="use__used_at")
    def last_used(self, token: AuthToken) -> Any:
        return tokens.last_used(token)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: AuthToken | None = None) -> bool:
        return False


@admin.register(LogEntry)
class ActionAdmin(KeysetAdmin):
    when_empty = "Nobody has done anything in the admin yet."
    list_display = ["action_time", "user", "said", "content_type", "object_repr"]
    list_select_related = ["user", "content_type"]
    list_filter = ["action_flag"]
    search_fields = ["user"]
    search_help_text = "a user name"
    fields = [("action_time", "user"), ("content_type", "object_repr", "object_id"), "said"]

    def matching(self, term: str) -> Any:
        return Q(user__username=term)

    @admin.display(description="what")
    def said(self, entry: LogEntry) -> str:
        return entry.get_change_message() or entry.get_action_flag_display()


def _may_touch(who: Any, user: User | None) -> bool:
    if who.is_superuser or user is None or user == who:
        return True
    return not has_rights(user)
