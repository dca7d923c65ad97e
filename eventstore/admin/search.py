"""One field that finds everything: a page, and the same as a part of other pages.

Each app says what can be found with it, by finders. A finder looks things up by indexes, in a statement or two, and
shows them to whoever may see them.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

MOST = 8
"""Results of a kind that are shown."""

LONGEST = 200
"""Characters of what somebody looks for."""


class Found(NamedTuple):
    """One result: what it is called, what else is said of it, and its page."""

    title: str
    detail: str
    url: str


class Asked:
    """What somebody looks for, read in all ways that make sense."""

    def __init__(self, request: HttpRequest, text: str) -> None:
        self.request = request
        self.text = text.replace("\0", "").strip()[:LONGEST]

    @cached_property
    def id(self) -> UUID | None:
        """The id that it is, if it is one."""
        try:
            return UUID(self.text)
        except ValueError:
            return None

    @cached_property
    def number(self) -> int | None:
        """The whole number that it is, such as a position: 5030, or 5,030 as pages write it."""
        digits = self.text.replace(",", "").removeprefix("#")
        return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 19 else None

    @property
    def is_word(self) -> bool:
        """Whether it may be a part of a name: it is neither an id nor a number."""
        return any(map(str.isalnum, self.text)) and self.id is None and self.number is None

    def names(self, *words: str) -> bool:
        """Whether each word that was written begins, or is within, one of these."""
        whole = " ".join(words).lower().replace("-", " ").replace(".", " ")
        asked = self.text.lower().replace("-", " ").replace(".", " ").split()
        return self.is_word and all(word in whole for word in asked)


class Group(NamedTuple):
    """What was found of a kind, and whether there is more of it."""

    kind: str
    results: list[Found]
    more: bool


Find = Callable[[Asked], Iterable[Found]]


class Finder(NamedTuple):
    """Finds things of a `kind`, which is what people call them, for those who have a permission; '' for all staff."""

    kind: str
    permission: str
    find: Find


class Finders:
    """All that are declared. What comes first is shown first."""

    def __init__(self) -> None:
        self._declared: dict[str, Finder] = {}

    def register(self, kind: str, find: Find, *, permission: str = "", first: bool = False) -> None:
        """Declare what finds things of a kind, in place of what did so before."""
        others = {name: each for name, each in self._declared.items() if name != kind}
        mine = {kind: Finder(kind, permission, find)}
        self._declared = {**mine, **others} if first else {**others, **mine}

    def unregister(self, kind: str) -> None:
        """Raises KeyError for one that isn't registered."""
        del self._declared[kind]

    def __iter__(self) -> Iterator[Finder]:
        return iter(self._declared.values())


finders = Finders()


def search(request: HttpRequest, text: str) -> list[Group]:
    """All that this user may see of what somebody looks for, by kind."""
    asked = Asked(request, text)
    if not asked.text:
        return []
    groups = []
    for each in finders:
        if not each.permission or request.user.has_perm(each.permission):
            found = list(islice(each.find(asked), MOST + 1))
            groups.append(Group(each.kind, found[:MOST], len(found) > MOST))
    return [group for group in groups if group.results]


def page(request: HttpRequest) -> HttpResponse:
    """The page of the search; with `part` in the address the results alone."""
    text = request.GET.get("q", "").strip()
    groups = search(request, text)
    context = {"asked": text, "groups": groups, "count": sum(len(each.results) for each in groups)}
    if "part" in request.GET:
        return TemplateResponse(request, "eventstore/admin/search_results.html", context)
    context |= {**admin.site.each_context(request), "title": "Search"}
    return TemplateResponse(request, "eventstore/admin/search.html", context)
