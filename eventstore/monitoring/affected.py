"""Whom a problem concerns. What is wrong is known by keys of subscribers and by positions of the log; an app that knows
what business stands behind them has a function that tells it, which the project names in `EVENTSTORE_AFFECTED`.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec
from django.utils.module_loading import import_string

from eventstore import conf, database
from eventstore.database import Statement, array
from eventstore.monitoring import queries
from eventstore.monitoring.status import LogStatus, SubscriberStatus
from eventstore.subscriptions.registry import registry

TRACED = 200
"""Keys and positions of one problem that are looked at; of more it is told that there are more."""


class Trace(NamedTuple):
    """A key of a subscriber, the position of an event, or both."""

    key: str = ""
    position: int | None = None


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """Business objects of one kind that a problem concerns: how many, and some of them, each with its name and the
    address of its page. They are for staff with the `permission`.
    """

    noun: str
    number: int
    shown: Sequence[tuple[str, str]]
    permission: str

    @property
    def others(self) -> int:
        return self.number - len(self.shown)


Traces = Mapping[str, Sequence[Trace]]
"""By problem."""

Teller = Callable[[Traces], Mapping[str, Sequence[Affected]]]
"""Is given the traces of all problems at once, and takes a fixed number of statements."""


def tell(traces: Traces) -> dict[str, list[Affected]]:
    """Whom problems concern, by problem, as all that know it tell."""
    asked = {problem: found for problem, found in traces.items() if found}
    told: dict[str, list[Affected]] = {}
    for path in conf.AFFECTED.get() if asked else ():
        teller: Teller = import_string(path)
        for problem, affected in teller(asked).items():
            told.setdefault(problem, []).extend(affected)
    return told


class SubscriberTraces(msgspec.Struct, frozen=True):
    """Some of what a subscriber has parked or has not been fed, and the error of one that is parked."""

    traces: Sequence[Trace]
    error: str


def subscriber_traces(
    parked: Sequence[str], behind: Sequence[SubscriberStatus], log: LogStatus
) -> dict[tuple[str, str], SubscriberTraces]:
    """What these have parked, and what those behind have not been fed, by subscriber and `parked` or `pending`. One
    statement, however many they are.
    """
    if not parked and not behind:
        return {}
    wanted = {subscriber.name: subscriber.types for subscriber in registry}
    asked = {
        "parked": list(parked),
        "behind": [each.name for each in behind],
        "after": [each.checkpoint for each in behind],
        "types": [array(sorted(wanted.get(each.name, ()))) for each in behind],
        "horizon": log.horizon,
        "most": TRACED,
    }
    rows = sorted(database.pipeline(Statement(queries.TRACES, asked))[0], key=itemgetter(0, 1, 3))
    found = {by: list(those) for by, those in groupby(rows, key=itemgetter(0, 1))}
    return {
        by: SubscriberTraces([Trace(key, position) for _, _, key, position, _ in those], those[0][4])
        for by, those in found.items()
    }
