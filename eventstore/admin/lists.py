"""What every read-only list of a growing table needs."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from psycopg import DataError as PsycopgDataError

from eventstore.operations.base import Operation, operations
from eventstore.subscriptions.registry import registry

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    SimpleListFilter = admin.SimpleListFilter
else:
    ModelAdmin = admin.ModelAdmin
    SimpleListFilter = admin.SimpleListFilter


CODE = re.compile("`([^`]+)`")


@contextmanager
def wrong_lookups() -> Iterator[None]:
    """Values that no row can have, as Django's admin answers them: it redirects to the list without them."""
    try:
        yield
    except (DataError, PsycopgDataError, OverflowError, ValidationError, ValueError) as error:
        raise IncorrectLookupParameters(str(error)) from error


class CheckedList(ChangeList):
    """A list that is shown for any address. Django's fails where a wrong lookup is noticed only by the query."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        with wrong_lookups():
            return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        with wrong_lookups():
            super().get_results(request)


class ReadOnlyAdmin(ModelAdmin):
    """Shows, and changes nothing: what is stored is changed by commands and by the actions of operators."""

    actions: Sequence[str] | None = None
    list_per_page = 25
    change_form_template = "eventstore/admin/read_only.html"
    when_empty = "Nothing is here yet."
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    class Media:
        css = {"all": ["eventstore/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def matching(self, term: str) -> Q:
        """What a search for one term finds, by indexed fields. Needs `search_fields`, which shows the box."""
        return Q(pk=term)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        terms = search_term.split() if self.get_search_fields(request) else []
        return queryset.filter(*(self.matching(term) for term in terms)), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CheckedList


class KeysetList(CheckedList):
    """One page of a list that is never counted and never skipped through: the next begins where this one ends."""

    model_admin: Any
    first_page, next_page = "Newest", "Older"
    newest: str = ""
    older: str = ""

    @property
    def bound(self) -> str:
        """The parameter of the address that says where a page begins."""
        return f"{self.model_admin.keyset}__lt"

    def place(self, row: Any) -> Any:
        """What it says for a page that begins after this row."""
        last = getattr(row, self.model_admin.keyset)
        return last.isoformat() if hasattr(last, "isoformat") else last

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        with wrong_lookups():
            page = list(self.queryset[: size + 1])
        shown = page[:size]
        if len(page) > size:
            self.older = self.get_query_string({self.bound: self.place(shown[-1])})
        if self.bound in self.params or self.bound in self.filter_params:
            self.newest = self.get_query_string(remove=[self.bound])
        self.model_admin.prepare(shown)
        self.result_list, self.result_count = shown, len(shown)
        self.full_result_count = len(shown)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(self.model_admin.actions)
        self.paginator = self.model_admin.get_paginator(request, shown, size)


class KeysetAdmin(ReadOnlyAdmin):
    """A list in descending order of `keyset`, which is as good as unique and has an index."""

    keyset = "id"
    change_list_template = "eventstore/admin/keyset_list.html"

    def prepare(self, rows: Sequence[Any]) -> None:
        """Add to the rows of a page what is read for all of them at once."""

    def get_ordering(self, request: HttpRequest) -> Any:
        return [f"-{self.keyset}"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetList


def polled(site: admin.AdminSite, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view for a part of a page that is asked for again and again.

    Whoever was logged out meanwhile would find the login form in the middle of the page; the whole page is loaded anew.
    """

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not site.has_permission(request):
            return HttpResponse(headers={"HX-Refresh": "true"})
        return view(request, *args, **kwargs)

    return guarded


def pretty(value: object) -> SafeString:
    """JSON to be read by people."""
    return format_html(
        '<pre class="data">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    )


def prose(text: str) -> SafeString:
    """A text of the code to be read by people: what is between backticks is set as code."""
    return SafeString(CODE.sub(r"<code>\1</code>", conditional_escape(text)))


def tag(word: str) -> SafeString:
    """A word on a coloured ground; the colour belongs to the word."""
    return format_html('<span class="tag tag-{}">{}</span>', slugify(word), word.replace("_", " "))


def event_link(position: int) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:eventstore_storedevent_change", args=[position]), position)


def subscriber_link(name: str) -> SafeString:
    """To the page of a subscriber, as it is declared or with #n for a generation of its tables."""
    return format_html(
        '<a href="{}">{}</a>', reverse("admin:eventstore_subscriber", args=[name.partition("#")[0]]), name
    )


def target_link(operation: str, name: str) -> SafeString | str:
    """To the page of what an operation was done to, as it is recorded; just its name where that has none, as a
    subscriber that this code doesn't have.
    """
    kind = operations.named(operation)
    if kind is None or not kind.page:
        return name
    if kind.page == Operation.page:
        declared = {subscriber.name for subscriber in registry}
        return subscriber_link(name) if name.partition("#")[0] in declared else name
    args = [] if kind.page.endswith("_changelist") else [name]
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{kind.page}", args=args), name)
