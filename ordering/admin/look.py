"""One look for all: whatever the apps registered as plain admins is registered again in Unfold's clothes.

The reusable apps know nothing of Unfold, so their classes come first and keep every word they say; Unfold's base class
takes the place of Django's.
"""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from eventstore.admin import ReadOnlyAdmin


class Dressed(ModelAdmin):
    """What Unfold's admins have in common here."""

    compressed_fields = False
    list_filter_sheet = True


class ReadTableAdmin(ReadOnlyAdmin, Dressed):
    """A read table: rows are folded from events, so nobody writes them."""


class UserAdmin(DjangoUserAdmin, Dressed):
    """Django's, with forms that look like the others."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


def dress(site: admin.AdminSite = admin.site) -> None:
    """Register anew whatever is not in Unfold's clothes yet. Called last, when every app has registered its own."""
    for model, registered in list(site._registry.items()):
        if not isinstance(registered, ModelAdmin):
            plain = type(registered)
            site.unregister(model)
            site.register(model, UserAdmin if model is User else type(plain.__name__, (plain, Dressed), {}))
