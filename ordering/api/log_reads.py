"""Rows as the log has them, for answers that must not wait for a read model."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from rest_framework.exceptions import ValidationError

from eventstore import database, store
from eventstore.codec import Recorded
from eventstore.errors import StreamNotFound
from eventstore.models import StoredEvent
from eventstore.subscriptions import visibility
from eventstore.subscriptions.subscriber import Work
from projections.models import ReadModel
from projections.projection import Projection
from projections.tables import Table

R = TypeVar("R", bound=ReadModel)


class Scratch(Table[R]):
    """A table of one row that nobody keeps."""

    row: R

    def load(self, cursor: Any, keys: Any) -> dict[Any, R]:
        return {}

    def write(self, cursor: Any, rows: Iterable[R]) -> None:
        (self.row,) = rows

    def delete(self, cursor: Any, keys: Any) -> None:
        pass


def folded(projection: Projection[R], key: UUID, events: Iterable[Recorded]) -> R:
    """The row that a projection makes of these events, among which must be the first of this key. Raises
    `StreamNotFound` where it wants none of them.
    """
    wanted = [Work(key, each) for each in events if each.type in projection.types]
    if not wanted:
        raise StreamNotFound
    scratch = Scratch(projection.model)
    with database.cursor() as cursor:
        projection.fold(cursor, scratch, wanted)
    return scratch.row


def written(projection: Projection[R], key: UUID, version: int) -> R | None:
    """The row that can be read of this key, if it has seen so much of its stream. Asked as projections ask, which costs
    half of what the ORM takes to say the same each time.
    """
    with database.cursor() as cursor:
        row = projection.live.load(cursor, [key]).get(key)
    return row if row is not None and row.version >= version else None  # type: ignore[attr-defined]  # of rows with one


def reached(as_of: int | datetime) -> int:
    """The position up to which things had happened: this one, or the last that was recorded by this time. Raises
    `ValidationError` for what is yet to come.
    """
    horizon = store.horizon()
    if isinstance(as_of, int):
        if as_of > horizon:
            raise ValidationError({"as_of": f"The log ends at {horizon}."}, "beyond-log")
        return as_of
    if as_of > database.clock():
        raise ValidationError({"as_of": "That is yet to come."}, "beyond-log")
    return min(horizon, store.position_until(as_of))


def last_position(stream_id: UUID) -> int:
    """Where the last event of a stream stands; 0 if it has none."""
    positions = StoredEvent.objects.filter(stream_id=stream_id).order_by("-version").values_list("position", flat=True)
    return positions.first() or 0


def checkpoint(subscriber: str) -> int:
    """How far a read model has got."""
    return max(0, visibility.reached([subscriber]))
