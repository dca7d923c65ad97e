"""Which orders, customers and conferences stand behind a problem."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from django.urls import reverse

from eventstore import database
from eventstore.database import Statement
from eventstore.monitoring.affected import Affected, Trace, Traces
from ordering import queries

SHOWN = 2
"""Of each kind, with a link."""

PAGES = {"order": "ordersummary", "customer": "customerprofile", "conference": "conferencesummary"}

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def concerned(traces: Traces) -> Mapping[str, Sequence[Affected]]:
    """By problem. Of one that concerns orders or customers the conferences are left out."""
    names = list(traces)
    rows = [
        (number, key, trace.position)
        for number, name in enumerate(names)
        for trace in traces[name]
        for key in _keys(trace)
    ]
    problems, keys, positions = zip(*rows, strict=True) if rows else ((), (), ())
    asked = {"problems": list(problems), "keys": list(keys), "positions": list(positions), "shown": SHOWN}
    found = sorted(database.pipeline(Statement(queries.CONCERNED, asked))[0], key=itemgetter(0))
    return {names[number]: _affected(list(those)) for number, those in groupby(found, key=itemgetter(0))}


def _keys(trace: Trace) -> Sequence[str]:
    """All ids that its key names, or none."""
    return UUID.findall(trace.key) or [""]


def _affected(rows: Sequence[tuple[int, str, int, Sequence[str]]]) -> list[Affected]:
    by_noun = {noun: (number, shown) for _, noun, number, shown in rows}
    if len(by_noun) > 1:
        by_noun.pop("conference", None)
    return [
        Affected(
            noun=noun,
            number=by_noun[noun][0],
            shown=[_link(model, each) for each in by_noun[noun][1]],
            permission=f"ordering.view_{model}",
        )
        for noun, model in PAGES.items()
        if noun in by_noun
    ]


def _link(model: str, shown: str) -> tuple[str, str]:
    name, _, id_ = shown.rpartition("/")
    return name, reverse(f"admin:ordering_{model}_change", args=[id_])
