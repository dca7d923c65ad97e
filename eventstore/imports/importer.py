"""What makes commands of the lines of a file: declared once for each kind of thing that is imported."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from eventstore.aggregates import Command
from eventstore.errors import EventstoreError
from eventstore.imports.lines import Fault


class LineRefused(Exception):
    """What a line says makes no command: all that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("A line is refused.")
        self.faults = faults


class UnknownImporter(EventstoreError):
    """Nothing of this kind can be imported."""

    code = "unknown-importer"


class Importer(ABC):
    """Lines of one kind, each of which becomes a command that begins a stream.

    `columns` are those that a CSV file may have, each with its path in the object that a line of JSON is; `needed` are
    those that it must have. `claims` says which path is to blame when another stream holds a value, by its scope.
    `choices` are options that are on or off, with what they do in words.
    """

    name: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]
    needed: ClassVar[Sequence[str]] = ()
    claims: ClassVar[Mapping[str, str]] = {}
    choices: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def command(self, stream_id: UUID, values: Mapping[str, Any], options: Mapping[str, Any]) -> Command:
        """The command of a line, which begins this stream unless the line names another. Raises `LineRefused`."""

    def refused(self, commands: Sequence[Command]) -> Mapping[int, Fault]:
        """Which of some commands, by their places, are refused by what is no rule of an aggregate; asked within the
        transaction that carries out the others.
        """
        return {}

    def nested(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """The object that the cells of a line are; what is empty is left out."""
        made: dict[str, Any] = {}
        for column, cell in cells.items():
            if cell.strip():
                *outer, last = self.columns[column].split(".")
                inner = made
                for name in outer:
                    inner = inner.setdefault(name, {})
                inner[last] = cell
        return made

    def column_of(self, path: str) -> str:
        """The column of a CSV file that a path in the object stands for."""
        return next((column for column, each in self.columns.items() if each == path), path)


class Importers:
    """Every importer, by its name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Importer] = {}

    def register(self, *importers: Importer) -> None:
        self._by_name |= {importer.name: importer for importer in importers}

    def unregister(self, *importers: Importer) -> None:
        for importer in importers:
            self._by_name.pop(importer.name, None)

    def __getitem__(self, name: str) -> Importer:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownImporter(f"No importer is registered as {name!r}.") from None

    def __iter__(self) -> Iterator[Importer]:
        return iter(self._by_name.values())


importers = Importers()


def flattened(errors: Any, path: str = "") -> Iterable[Fault]:
    """Errors that are nested as what they are about is, each with its path."""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            yield from flattened(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(errors, list | tuple):
        for each in errors:
            yield from flattened(each, path)
    else:
        yield Fault(path, str(errors))
