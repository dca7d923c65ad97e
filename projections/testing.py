"""Given events, then rows: a projection is tested without a database. And what every projection has to satisfy.

The fold is the one that feeds the live rows; only the table is a dictionary.
"""

from collections.abc import Collection, Hashable, Iterable
from typing import Any, TypeVar

from eventstore.codec import Recorded
from eventstore.events import Event
from eventstore.handler_guard import applying
from eventstore.subscriptions.subscriber import Work
from eventstore.testing import as_recorded, recorded
from projections.in_memory import NOWHERE, MemoryTable, columns
from projections.models import Difference, ReadModel
from projections.projection import Projection
from projections.rebuild import builder, generations

R = TypeVar("R", bound=ReadModel)

__all__ = [
    "as_recorded",
    "assert_applied_twice_is_applied_once",
    "assert_batches_do_not_matter",
    "assert_rebuild_equals_live",
    "project",
    "recorded",
]


def project(
    projection: type[Projection[R]], *events: Event | Recorded, looked_up: Iterable[ReadModel] = ()
) -> dict[Hashable, R]:
    """The rows, by key, that a projection folds from these events, one batch each.

    `looked_up` are the rows of other read models that it finds. What a handler raises gets out.
    """
    return _fold(projection(), [[each] for each in as_recorded(*events)], looked_up)


def assert_batches_do_not_matter(
    projection: type[Projection[Any]], *events: Event | Recorded, looked_up: Collection[ReadModel] = ()
) -> None:
    """Feeding takes what has gathered: however events fall into batches, the rows are the same."""
    log, one = as_recorded(*events), projection()
    alone = _values(_fold(one, [[each] for each in log], looked_up))
    for cut in range(len(log) + 1):
        assert _values(_fold(one, [log[:cut], log[cut:]], looked_up)) == alone, f"cut after {cut} events"


def assert_applied_twice_is_applied_once(
    projection: type[Projection[Any]], *events: Event | Recorded, looked_up: Collection[ReadModel] = ()
) -> None:
    """What `idempotent` promises: moved back to any place and fed again, the rows are the same."""
    log, one = as_recorded(*events), projection()
    once = _values(_fold(one, [log], looked_up))
    for back in range(len(log)):
        assert _values(_fold(one, [log, log[back:]], looked_up)) == once, f"moved back to {back} events"


def assert_rebuild_equals_live(name: str) -> None:
    """A fresh fold of the log gives the rows that are there, column by column. Needs a database, and its commits."""
    verified = builder.complete(generations.verify(name, requested_by="test"))
    assert verified.status == verified.Status.VERIFIED, verified.error or verified.status
    found = Difference.objects.filter(generation=verified)
    assert not verified.differing, {each.key: (each.kind, each.columns) for each in found}


def _fold(
    projection: Projection[R], batches: Iterable[Iterable[Recorded]], looked_up: Iterable[ReadModel]
) -> dict[Hashable, R]:
    others: dict[type[ReadModel], list[ReadModel]] = {}
    for row in looked_up:
        others.setdefault(type(row), []).append(row)
    table = MemoryTable(projection.model)
    for batch in batches:
        wanted = [each for each in batch if each.type in projection.types]
        with applying():
            work = [Work(key, each) for each in wanted for key in projection.keys(each)]
            projection.fold(NOWHERE, table, work, others=lambda model: MemoryTable(model, others.get(model, ())))
    return table.rows


def _values(rows: dict[Hashable, Any]) -> dict[Hashable, dict[str, Any]]:
    return {key: columns(row) for key, row in rows.items()}
