"""The page of a stream: its state after a version, its events, and what each of them changed."""

from typing import Any

from django.http import QueryDict

from eventstore.admin import people
from eventstore.admin.lists import pretty
from eventstore.browsing.stream import Moment, brief

LONGEST = 9
"""Digits of a version."""


def asked(said: QueryDict) -> int | None:
    """The version that a form asks for: the number where that was changed, else what the slider says; None for none."""
    number = _version(said.get("number", ""))
    return number if number and number != _version(said.get("shown", "")) else _version(said.get("version", ""))


def shown(moment: Moment) -> dict[str, Any]:
    """What the page tells of a stream as it was at a version."""
    names = people.names({step.recorded.actor for step in moment.steps})
    return {
        "moment": moment,
        "state": None if moment.state is None else pretty(brief(moment.state)),
        "steps": [(step, names[step.recorded.actor]) for step in moment.steps],
        "version": f"{moment.version:,}",
        "last": f"{moment.last:,}",
        "first": f"{moment.first:,}",
        "upto": f"{moment.upto:,}",
        "previous": moment.version - 1,
        "next": moment.version + 1,
        "earlier": moment.first - 1,
        "later": moment.upto + 1,
    }


def _version(term: str) -> int | None:
    return int(term) if term.isascii() and term.isdecimal() and len(term) <= LONGEST else None
