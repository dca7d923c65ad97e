"""The users of the admin, and what they did there, whichever page they did it on: the admin's own record."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User
from django.db.models import Q
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from eventstore.admin import KeysetAdmin

admin.site.unregister(User)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's, with forms that look like the others."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


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
