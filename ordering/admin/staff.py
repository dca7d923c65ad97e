"""The users of the admin, and what they did there, whichever page they did it on: the admin's own record."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Q
from django.http import HttpRequest
from knox.admin import AuthTokenAdmin
from knox.models import AuthToken
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from eventstore.admin import KeysetAdmin
from ordering import tokens
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


@admin.register(AuthToken)
class TokenAdmin(AuthTokenAdmin):
    """Only superusers make tokens, for they may be anybody's; others may end them."""

    list_display = ["digest", "user", "created", "expiry", "last_used"]
    list_select_related = ["user", "use"]

    def get_readonly_fields(self, request: HttpRequest, obj: AuthToken | None = None) -> Any:
        return ["last_used"] if obj else []

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
