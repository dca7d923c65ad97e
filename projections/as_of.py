"""A row of a read model as of a position: what the events up to there make of it, folded in memory and kept nowhere."""

from collections.abc import Collection, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS

from eventstore import store
from eventstore.codec import Recorded
from eventstore.database import Cursor
from eventstore.errors import Refused
from eventstore.handler_guard import applying
from eventstore.models import DiscardedEvent
from eventstore.subscriptions import parking
from eventstore.subscriptions.hash_ranges import ALL
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Work
from projections.in_memory import NOWHERE, MemoryTable
from projections.models import ReadModel
from projections.projection import Projection
from projections.rebuild.event_filter import event_condition

R = TypeVar("R", bound=ReadModel)

CHUNK = 500


def row_as_of(projection: Projection[R], key: str, upto: int, *, using: str = DEFAULT_DB_ALIAS) -> R | None:
    """The row whose key has this text, as the running code folds it from the events up to a position; None if there was
    none. Rows of other read models that it looks up are those of the same position. What a handler raises gets out.
    """
    table = MemoryTable(projection.model)
    only = event_condition(projection, ALL, [key]).as_string()
    events = store.stream(0, upto, projection.types, upto, only=only, using=using)
    left_out = set(
        DiscardedEvent.objects.using(using).filter(subscriber=projection.name).values_list("key", "position")
    )
    while chunk := list(islice(events, CHUNK)):
        with applying():
            work = [Work(named, each) for each in chunk for named in _keys(projection, each, key, left_out)]
            projection.fold(NOWHERE, table, work, others=lambda model: _OthersAsOf(model, upto, using))
    return next(iter(table.rows.values()), None)


def row_after_each(
    projection: Projection[R], key: str, events: Iterable[Recorded], *, using: str = DEFAULT_DB_ALIAS
) -> Iterator[tuple[Recorded, R | None]]:
    """Each of these events that concerns the row whose key has this text, in order, with the row as it is after it;
    None where it is gone. Rows of other read models that it looks up are the live ones. What a handler raises gets out.
    """
    table = MemoryTable(projection.model)
    left_out = set(
        DiscardedEvent.objects.using(using).filter(subscriber=projection.name).values_list("key", "position")
    )
    for recorded in events:
        if recorded.type in projection.types and (keys := _keys(projection, recorded, key, left_out)):
            with applying():
                work = [Work(named, recorded) for named in keys]
                projection.fold(NOWHERE, table, work, others=lambda model: _LiveRows(model, using))
            yield recorded, next(iter(table.rows.values()), None)


def _keys(
    projection: Projection[Any], recorded: Recorded, key: str, left_out: Collection[tuple[str, int]]
) -> list[Hashable]:
    """The key, where an event concerns it that nobody has discarded."""
    if not {(parking.text(key), recorded.position), (parking.stream_key(recorded), recorded.position)}.isdisjoint(
        left_out
    ):
        return []
    return [named for named in projection.keys(recorded) if str(named) == key]


class _OthersAsOf(MemoryTable[R]):
    """The rows of another read model, folded when they are looked up."""

    def __init__(self, model: type[R], upto: int, using: str) -> None:
        super().__init__(model)
        self._upto, self._using = upto, using

    def load(self, cursor: Cursor, keys: Collection[Hashable]) -> dict[Hashable, R]:
        found = {key: row_as_of(_projection_of(self.model), str(key), self._upto, using=self._using) for key in keys}
        return {key: row for key, row in found.items() if row is not None}


class _LiveRows(MemoryTable[R]):
    """The rows of another read model as they are now."""

    def __init__(self, model: type[R], using: str) -> None:
        super().__init__(model)
        self._using = using

    def load(self, cursor: Cursor, keys: Collection[Hashable]) -> dict[Hashable, R]:
        return {row.pk: row for row in self.model._default_manager.using(self._using).filter(pk__in=keys)}


def _projection_of(model: type[R]) -> Projection[R]:
    """Raises `Refused` where none folds it."""
    for each in registry:
        if isinstance(each, Projection) and each.model is model:
            return each
    raise Refused(f"No projection folds {model.__name__}.")
