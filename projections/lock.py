"""The lock file: which code of each version of a projection was committed, as the setting `PROJECTIONS_LOCK` names it.

It is to code what migrations are to tables: whoever changes how rows are folded has to say so. Without the setting
there is no lock, and nothing is compared.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from django.conf import settings

from eventstore.subscribers import registry
from projections.errors import UnreadableLock
from projections.fingerprint import fingerprint
from projections.projection import Projection


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A projection as it was locked. `same_as` are fingerprints of former code that folds the same rows."""

    version: int
    fingerprint: str
    same_as: tuple[str, ...] = ()

    @property
    def equal(self) -> frozenset[str]:
        return frozenset({self.fingerprint, *self.same_as})


class Change(StrEnum):
    """How a projection and its entry differ."""

    NEW = "is not locked"
    GONE = "is locked, but no projection is declared under this name"
    VERSION = "has another version than is locked"
    CODE = "changed without a new version"


class Difference(NamedTuple):
    """`locked` is the entry that is there, `declared` the one that the running code would have."""

    name: str
    change: Change
    locked: Entry | None
    declared: Entry | None


def path() -> Path | None:
    named = getattr(settings, "PROJECTIONS_LOCK", None)
    return Path(named) if named else None


def read() -> dict[str, Entry]:
    """The entries by the names of their projections; none without a file. Raises `UnreadableLock`."""
    file = path()
    if file is None or not file.exists():
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Entry])
    except (msgspec.MsgspecError, OSError) as error:
        raise UnreadableLock(f"{file} can't be read: {error}") from error


def write(file: Path, entries: Mapping[str, Entry]) -> None:
    text = msgspec.json.encode(dict(sorted(entries.items())))
    file.write_bytes(msgspec.json.format(text, indent=4) + b"\n")


def equal(name: str, version: int) -> frozenset[str]:
    """The fingerprints that count as that of the locked entry; none if this version isn't locked.

    Raises `UnreadableLock`.
    """
    entry = read().get(name)
    return entry.equal if entry and entry.version == version else frozenset()


def declared() -> list[Projection[Any]]:
    """Every projection of this process."""
    return [subscriber for subscriber in registry if isinstance(subscriber, Projection)]


def compare(locked: Mapping[str, Entry]) -> Iterator[Difference]:
    """Where the running code isn't what was locked, by name. Raises `UnreadableCode`."""
    now = {each.name: Entry(each.version, fingerprint(each)) for each in declared()}
    for name in sorted({*locked, *now}):
        change = _change(locked.get(name), now.get(name))
        if change:
            yield Difference(name, change, locked.get(name), now.get(name))


def _change(locked: Entry | None, now: Entry | None) -> Change | None:
    if locked is None:
        return Change.NEW
    if now is None:
        return Change.GONE
    if now.version != locked.version:
        return Change.VERSION
    return None if now.fingerprint in locked.equal else Change.CODE
