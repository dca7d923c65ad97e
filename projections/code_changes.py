"""The lock file: which code of each version of a projection was committed, as the setting `PROJECTIONS_LOCK` names it.

It is to code what migrations are to tables: whoever changes how rows are folded has to say so. Without the setting
there is no lock, and nothing is compared.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from eventstore.subscriptions.registry import registry
from projections.fingerprint.lockfile import Entry
from projections.projection import Projection


class ChangeKind(StrEnum):
    """How a projection and its entry differ."""

    NEW = "is not locked"
    GONE = "is locked, but no projection is declared under this name"
    VERSION = "has another version than is locked"
    CODE = "changed without a new version"


class CodeChange(NamedTuple):
    """`locked` is the entry that is there, `declared` the one that the running code would have."""

    name: str
    change: ChangeKind
    locked: Entry | None
    declared: Entry | None


def declared() -> list[Projection[Any]]:
    """Every projection of this process."""
    return [subscriber for subscriber in registry if isinstance(subscriber, Projection)]


def compare(locked: Mapping[str, Entry]) -> Iterator[CodeChange]:
    """Where the running code isn't what was locked, by name. Raises `UnreadableCode`."""
    now = {each.name: Entry(each.version, each.read_fingerprint()) for each in declared()}
    for name in sorted({*locked, *now}):
        change = _change(locked.get(name), now.get(name))
        if change:
            yield CodeChange(name, change, locked.get(name), now.get(name))


def _change(locked: Entry | None, now: Entry | None) -> ChangeKind | None:
    if locked is None:
        return ChangeKind.NEW
    if now is None:
        return ChangeKind.GONE
    if now.version != locked.version:
        return ChangeKind.VERSION
    return None if now.fingerprint in locked.equal else ChangeKind.CODE
