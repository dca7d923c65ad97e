"""A read table that is a dictionary: what a projection folds into it is written nowhere."""

from collections.abc import Collection, Hashable, Iterable
from typing import Any, TypeVar

import msgspec

from eventstore.database import Cursor
from eventstore.subscriptions.subscriber import Work
from projections.models import ReadModel
from projections.tables import Table

R = TypeVar("R", bound=ReadModel)


class MemoryTable(Table[R]):
    """The rows of a read model, by key."""

    def __init__(self, model: type[R], rows: Iterable[R] = ()) -> None:
        super().__init__(model)
        self.rows: dict[Hashable, R] = {row.pk: row for row in rows}

    def load(self, cursor: Cursor, keys: Collection[Hashable]) -> dict[Hashable, R]:
        return {key: self._copy_of(self.rows[key]) for key in keys if key in self.rows}

    def write(self, cursor: Cursor, rows: Iterable[R]) -> None:
        self.rows.update({row.pk: self._copy_of(row) for row in rows})

    def delete(self, cursor: Cursor, keys: Collection[Hashable]) -> None:
        for key in keys:
            self.rows.pop(key, None)

    def _copy_of(self, row: R) -> R:
        """JSON as it comes back: lists instead of tuples, texts instead of decimals and times."""
        values = columns(row)
        for name in self._json:
            values[name] = msgspec.json.encode(values[name])
        return self._row(values)


class _Nowhere:
    """In the place of a cursor, which these tables don't ask."""

    def awake(self, work: Iterable[Work]) -> Iterable[Work]:
        return work


NOWHERE: Any = _Nowhere()


def columns(row: ReadModel) -> dict[str, Any]:
    """The values of a row. A column that no handler has set is missing."""
    names = {field.attname for field in row._meta.concrete_fields}
    return {name: value for name, value in vars(row).items() if name in names}
