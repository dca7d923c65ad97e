"""Which events can be applied and which can't: key by key, then event by event, each in a savepoint."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore.subscriptions import parking, queries
from eventstore.subscriptions.parking import Parking
from eventstore.subscriptions.subscriber import Work
from eventstore.transient_errors import raise_if_infrastructure, raise_if_lost

Apply = Callable[[Sequence[Work]], None]
Report = Callable[[Work, Exception], None]


def isolate(
    cursor: psycopg.Cursor[Any],
    apply: Apply,
    works: Sequence[Work],
    report: Report,
    *,
    using: str = DEFAULT_DB_ALIAS,
) -> list[Parking]:
    """Apply what can be applied; answers what is to be parked: the first bad event of a key and all behind it.

    `report` hears of each bad one. Errors of the infrastructure are raised, for they are no event's fault.
    """
    parked: list[Parking] = []
    by_key = sorted(works, key=_key)
    for _, of_key in groupby(by_key, key=_key):
        parked.extend(_isolate_key(cursor, apply, list(of_key), report, using))
    return parked


def _isolate_key(
    cursor: psycopg.Cursor[Any], apply: Apply, works: list[Work], report: Report, using: str
) -> list[Parking]:
    try:
        with savepoint(cursor, using=using):
            apply(works)
        return []
    except Exception as error:
        raise_if_infrastructure(error)
    for index, work in enumerate(works):
        try:
            with savepoint(cursor, using=using):
                apply([work])
        except Exception as error:
            raise_if_infrastructure(error)
            report(work, error)
            return [parking.failed(work, error), *parking.behind(works[index + 1 :])]
    return []


@contextmanager
def savepoint(cursor: psycopg.Cursor[Any], *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """What is done within is done as a whole, or not at all.

    A deferred constraint would pass the savepoint and fail the commit of everybody, so it is checked here. And Django,
    where an author uses its models, need not roll back everything for an error that is undone here.
    """
    cursor.execute(queries.SAVEPOINT)
    try:
        yield
        cursor.execute(queries.RELEASE)
    except BaseException as error:
        raise_if_lost(error)
        undo(cursor, using=using)
        raise


def undo(cursor: psycopg.Cursor[Any], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Go back to the savepoint, as if nothing had been done since."""
    cursor.execute(queries.ROLLBACK)
    transaction.set_rollback(False, using=using)


def _key(work: Work) -> str:
    return parking.text(work.key)
