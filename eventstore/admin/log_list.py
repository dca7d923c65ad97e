"""The list of events: pages of the log, newest first, and those that are committed meanwhile."""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import IGNORED_PARAMS
from django.db.models import QuerySet
from django.http import HttpRequest

from eventstore import store
from eventstore.admin import people
from eventstore.admin.lists import KeysetList, wrong_lookups
from eventstore.admin.log_filter import FIELDS, LogFilter
from eventstore.browsing.search import LAST, Found, Search, find
from eventstore.models import StoredEvent

TAIL = 25
"""How many new events are shown at a time."""


class LogList(KeysetList):
    """One page of the log. It is searched by what its filter says, and in no other way."""

    form: LogFilter
    search: Search
    found: Found
    horizon: int | None = None

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """What the address asks for besides the filter is a mistake."""
        known = {*FIELDS, *IGNORED_PARAMS, self.bound, "p"}
        if self.filter_params.keys() - known:
            raise IncorrectLookupParameters
        self.filter_specs: list[Any] = []
        self.has_filters = self.has_active_filters = False
        return self.root_queryset.none()

    def get_results(self, request: HttpRequest) -> None:
        before = request.GET.get(self.bound, "")
        if before and not (before.isascii() and before.isdecimal() and int(before) <= LAST):
            raise IncorrectLookupParameters
        if not before:
            self.horizon = store.horizon()
        self.form = LogFilter(request.GET)
        with wrong_lookups():
            self.search = self.form.search(int(before) - 1 if before else LAST)
            self.found = find(self.search, self.list_per_page)
        shown = rows(self.found.positions)
        if self.found.more:
            self.older = self.get_query_string({self.bound: shown[-1].position})
        elif self.found.lowest is not None:
            self.older = self.get_query_string({self.bound: self.found.lowest})
        if before:
            self.newest = self.get_query_string(remove=[self.bound])
        self.result_list, self.result_count = shown, len(shown)
        self.full_result_count = len(shown)
        self.show_full_result_count = self.can_show_all = self.multi_page = self.show_admin_actions = False
        self.paginator = self.model_admin.get_paginator(request, shown, self.list_per_page)

    @property
    def tail(self) -> str:
        """What to ask for the events that are committed after this page was read; empty where it is not the first, or
        what it shows is all in the past.
        """
        if self.horizon is None or "until" in self.form.said or self.search.upto < LAST:
            return ""
        return self.get_query_string({"after": self.horizon})

    @property
    def looked(self) -> str:
        """At how many events it was looked, and back to which position."""
        found = self.found
        back = f", back to position {found.lowest:,}" if found.lowest is not None else ""
        return f"{found.looked:,} events{back}" if found.looked is not None else ""

    @property
    def next_words(self) -> str:
        """What leads to earlier events."""
        return "Look further back" if self.found.lowest is not None and not self.found.more else "Older"


def rows(positions: Sequence[int]) -> list[Any]:
    """The events at these positions, newest first, with the names of who acted."""
    found = StoredEvent.objects.filter(position__in=positions).defer("sealed", "data").order_by("-position")
    shown: list[Any] = list(found)
    people.prepare(shown, "actor")
    for each in shown:
        each.who, each.place = people.name_of(each, "actor"), f"{each.position:,}"
    return shown


class Tail:
    """The newest events that were committed after a position, as far as the log is final: one statement where there are
    none. `more` says that some in between are left out.
    """

    def __init__(self, form: LogFilter, after: int) -> None:
        self.upto = store.horizon(after)
        self.rows: list[Any] = []
        self.more = False
        if self.upto > after:
            search = form.search(self.upto)
            found = find(msgspec.structs.replace(search, after=max(search.after, after)), TAIL)
            self.rows, self.more = rows(found.positions), found.more
