"""Rows with buttons: what can be done to each as it stands, for whoever may do it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from eventstore.admin.lists import KeysetAdmin
from eventstore.operations.base import Operation


class RowAction(NamedTuple):
    """A button: what it says, and the page that it leads to."""

    label: str
    url: str


def row_action(label: str, kind: type[Operation], target: str, *, back: str, **said: Any) -> RowAction:
    """The button of an operation with what is known of it already; afterwards one comes `back`."""
    url = reverse("admin:eventstore_operation", args=[kind.word, target])
    return RowAction(label, f"{url}?{urlencode({**said, 'next': back})}")


def buttons(offers: Iterable[RowAction]) -> SafeString:
    links = format_html_join(" ", '<a class="act" href="{}">{}</a>', ((each.url, each.label) for each in offers))
    return format_html('<span class="acts">{}</span>', links) if links else links


class RowActionsAdmin(KeysetAdmin):
    """A list with buttons in each row, which stand on the page of a row as well."""

    change_form_template = "eventstore/admin/acting.html"

    def may_act(self, request: HttpRequest) -> bool:
        """Whether there is a column for buttons."""
        raise NotImplementedError

    def offers(self, request: HttpRequest, row: Any) -> list[RowAction]:
        """What this user may do to a row as it stands."""
        raise NotImplementedError

    def get_list_display(self, request: HttpRequest) -> Any:
        shown: list[str | Callable[..., Any]] = list(super().get_list_display(request))
        if not self.may_act(request):
            return shown

        @admin.display(description="buttons", empty_value="")
        def acts(row: Any) -> SafeString:
            return buttons(self.offers(request, row))

        return [*shown, acts]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        context = {"offers": self.offers(request, row) if row is not None else [], **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)
