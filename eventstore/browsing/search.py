"""The log, searched newest first: by an index where there is one, and else among so many events and no more."""

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

from eventstore.browsing import queries
from eventstore.errors import EventstoreError

LOOKED = 10_000
"""How many events are looked at for what has no index."""

PATIENCE = 2.0
"""Seconds that the index of the data may take: what most events have is not found by an index."""

LAST = 2**63 - 1

TERM = re.compile(r"\s*(?P<path>[^\s=.]+(?:\.[^\s=.]+)*)\s*=\s*(?P<value>.+?)\s*", re.DOTALL)


CONDITIONS = {
    "stream": "stream_id = %(stream_id)s",
    "correlation": "correlation_id = %(correlation_id)s",
    "type": "type = ANY(%(types)s)",
    "actor": "actor = ANY(%(actors)s)",
    "data": "data @? %(data)s::jsonpath",
}


class NoDataTerm(EventstoreError):
    """Data is searched for by field=value, such as order_id=0192…, or a field within a field, total.amount=99.00."""

    code = "no-data-term"


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; all of it must hold. Positions are those with `after < position <= upto`; `data` is a path of
    PostgreSQL's, as `data_path` makes it.
    """

    types: Collection[str] | None = None
    stream_id: UUID | None = None
    correlation_id: UUID | None = None
    actors: Collection[str] = ()
    data: str = ""
    after: int = 0
    upto: int = LAST

    @property
    def leads(self) -> str:
        """What the index is by that finds the events: stream, correlation, type, or position for want of better."""
        if self.stream_id:
            return "stream"
        if self.correlation_id:
            return "correlation"
        return "position" if self.types is None else "type"


class Found(NamedTuple):
    """The newest events that were found, by position, and whether there are `more`.

    Where it was looked for something without an index, `looked` says at how many events, and `lowest` is the last of
    them: below that nobody has looked, unless it is None. `by_index` says whether the index of the data has found them,
    or was too slow (False); None where it was not asked.
    """

    positions: Sequence[int]
    more: bool
    looked: int | None = None
    lowest: int | None = None
    by_index: bool | None = None


def find(search: Search, most: int, *, using: str = DEFAULT_DB_ALIAS) -> Found:
    """The newest `most` events. Up to five statements."""
    if search.types is not None and not search.types:
        return Found((), more=False)
    asked, rest = _asked(search, most), _conditions(search, leads=search.leads)
    if not rest:
        return _page(_column(_newest(search, "position, version"), {**asked, "looked": most + 1}, using), most)
    found = _column(_newest(search, queries.SEEN, rest), asked, using)
    if len(found) > most:
        return _page(found, most)
    ((looked, lowest),) = _rows(queries.LOOKED.format(**_led(search, "position, version")), asked, using)
    return _further(search, asked, most, Found(found, more=False, looked=looked, lowest=lowest), using)


def _further(search: Search, asked: dict[str, Any], most: int, found: Found, using: str) -> Found:
    """Where there are events left to look at, by the index of the data if that can help."""
    if (found.looked or 0) < LOOKED:
        return found._replace(lowest=None)
    if not search.data or not has_data_index(using=using):
        return found
    by_index = _by_data(search, asked, using)
    return found._replace(by_index=False) if by_index is None else _page(by_index, most)._replace(by_index=True)


def data_path(term: str) -> str:
    """What is searched for in data, of field=value. A value that is a number, true, false or null is found as that and
    as text, and so is one within a list. Raises `NoDataTerm`.
    """
    if not (said := TERM.fullmatch(term)):
        raise NoDataTerm
    path = "".join(f".{json.dumps(each)}" for each in said["path"].split("."))
    value = said["value"]
    texts = [json.dumps(value)]
    if re.fullmatch(r"-?\d+(\.\d+)?|true|false|null", value):
        texts.append(value)
    return f"${path} ? ({' || '.join(f'@ == {each}' for each in texts)})"


def has_data_index(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether operators have made the index of what is in the data."""
    ((there,),) = _rows(queries.HAS_DATA_INDEX, {}, using)
    return bool(there)


def _conditions(search: Search, *, leads: str) -> list[str]:
    """Those that the index leaves to be looked at."""
    asked = {
        "stream": search.stream_id,
        "correlation": search.correlation_id,
        "type": search.types,
        "actor": search.actors,
        "data": search.data,
    }
    return [CONDITIONS[name] for name, value in asked.items() if value and name != leads]


def _newest(search: Search, seen: str, rest: Sequence[str] = ()) -> str:
    return queries.NEWEST.format(**_led(search, seen), rest=" AND ".join(rest) or "true")


def _led(search: Search, seen: str) -> dict[str, str]:
    """The query that an index leads, and the order that this index has."""
    if search.leads == "stream":
        return {"led": queries.OF_STREAM.format(seen=seen), "order": "version"}
    if search.leads == "correlation":
        return {"led": queries.OF_CORRELATION.format(seen=seen), "order": "position"}
    if search.leads == "position":
        return {"led": queries.ALL.format(seen=seen), "order": "position"}
    names = (f"%(type_{number})s" for number in range(len(search.types or ())))
    of_type = queries.OF_TYPE if len(search.types or ()) == 1 else queries.MERGED
    each = (of_type.format(seen=seen, type=name) for name in names)
    return {"led": " UNION ALL ".join(each), "order": "position"}


def _asked(search: Search, most: int) -> dict[str, Any]:
    types = sorted(search.types or ())
    return {
        "after": search.after,
        "upto": search.upto,
        "stream_id": search.stream_id,
        "correlation_id": search.correlation_id,
        "types": types,
        **{f"type_{number}": name for number, name in enumerate(types)},
        "actors": list(search.actors),
        "data": search.data,
        "looked": LOOKED,
        "most": most + 1,
    }


def _by_data(search: Search, asked: dict[str, Any], using: str) -> list[int] | None:
    """None where there are too many for that."""
    query = queries.BY_DATA.format(rest=" AND ".join(_conditions(search, leads="data")) or "true")
    try:
        with transaction.atomic(using), connections[using].cursor() as cursor:
            cursor.execute(queries.NO_LONGER, [f"{1000 * PATIENCE:.0f}ms"])
            cursor.execute(query, asked)
            return [position for (position,) in cursor.fetchall()]
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            return None
        raise


def _page(positions: list[int], most: int) -> Found:
    return Found(positions[:most], more=len(positions) > most)


def _column(query: str, parameters: dict[str, Any], using: str) -> list[int]:
    return [position for (position,) in _rows(query, parameters, using)]


def _rows(query: str, parameters: dict[str, Any], using: str) -> list[Any]:
    with connections[using].cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
