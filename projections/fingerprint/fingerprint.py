"""The fingerprint of a projection: a short name for everything that decides what rows it folds.

That is its code with all of the project that the code refers to, the events that it wants with their schemas and
upcasters, the fields of its read model, and what it `uses`. Not its version and mode, nor anything of Django, of
installed distributions or of the reusable apps.

A definition is named by its content and not by where it stands, as in the language Unison; that what has run may not
change unnoticed is the idea of the checksums of migrations, as in Flyway.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from types import FunctionType
from typing import Any, Protocol

from eventstore.events import Event
from eventstore.fingerprint.name_resolution import Project
from eventstore.fingerprint.normal_form import Form, as_text
from eventstore.fingerprint.reader import Reader

DIGITS = 16


class Handler(Protocol):
    """What is asked of a handler: its event, how that names the keys, and its method."""

    @property
    def event(self) -> type[Event]: ...

    @property
    def key(self) -> Any: ...

    @property
    def method(self) -> str: ...


@cache
def fingerprint(declared: type[Any], base: type[Any]) -> str:
    """16 hexadecimal digits for a class of projections, of which `base` is the one that all are derived from.

    Computed once a process, from the source files as they are then. Raises `UnreadableCode`.
    """
    handlers: Mapping[str, Handler] = declared.handlers
    project = Project(declared.__module__.partition(".")[0])
    reader = Reader(project, base)
    wanted: Form = [
        [stored, handler.method, _key(reader, handler.key), reader.value(handler.event)]
        for stored, handler in sorted(handlers.items())
    ]
    own: Form = [reader.value(each) for each in declared.__mro__ if project.owns(each.__module__)]
    found: Form = [own, wanted, reader.value(declared.model), sorted(declared.uses), reader.definitions()]
    return sha256(as_text(found).encode()).hexdigest()[:DIGITS]


def _key(reader: Reader, key: Any) -> Form:
    """A callable that is no plain function is written where the handler is declared, and counts there."""
    return reader.value(key) if isinstance(key, str | FunctionType) else None
