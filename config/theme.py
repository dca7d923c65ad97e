"""What all pages of the admin have in common, in Unfold's theme."""

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin


class ThemedAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """What Unfold's admins have in common here."""

    compressed_fields = False
    list_filter_sheet = True

    class Media:
        css = {"all": ["eventstore/admin.css"]}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A list is called what it is of, and not what could be done with it."""
        title = capfirst(str(self.opts.verbose_name_plural))
        answer: HttpResponse = super().changelist_view(request, {"title": title, **(extra_context or {})})
        return answer

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        from eventstore.admin.lists import CheckedList  # whose package registers its own with this theme

        return CheckedList
