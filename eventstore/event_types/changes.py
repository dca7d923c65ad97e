"""How the events of the running code differ from those that are locked, and who could not read what then is stored.

Two readers have to be able to: this code what was stored before it, and a process of the locked code, which runs beside
this one until it is replaced, what this one records. Whoever meets a version or an event that only newer code knows
waits for that; so a higher version is always safe for the second, and an upcaster makes it so for the first.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from eventstore import codec
from eventstore.errors import EventstoreError
from eventstore.event_types import examples
from eventstore.event_types.compatibility import Side, misfits
from eventstore.event_types.examples import Example
from eventstore.event_types.lockfile import Entry, Lock
from eventstore.event_types.schemas import Schema, references


class ChangeKind(StrEnum):
    """How an event and its entry differ."""

    NEW = "is not locked"
    GONE = "is locked, but no event is declared under this name"
    LOWERED = "has a lower version than is locked"
    VERSION = "has a higher version than is locked"
    FIELDS = "changed without a new version"
    FORMER = "is declared no more, and read as other events"
    MEANING = "has fields of another meaning, or default, without a new version"


class Change(NamedTuple):
    """One difference. `stored` says why what is stored could not be read, `beside` why an older process, which runs
    beside this code, could not read what that records; both are empty where all can be read.
    """

    name: str
    change: ChangeKind
    version: int | None = None
    stored: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether it would lose somebody something, or may: what a field means no program can judge."""
        return bool(self.stored or self.beside) or self.change is ChangeKind.MEANING

    @property
    def told(self) -> str:
        """Who could not read it, and why; empty where everybody can."""
        said = []
        if self.stored:
            said.append(f"What is stored could not be read: {' '.join(self.stored)}")
        if self.beside:
            said.append(f"An older process that runs beside could not read what is recorded: {' '.join(self.beside)}")
        return " ".join(said)

    @property
    def advice(self) -> str:
        """What would be the right way."""
        match self.change:
            case ChangeKind.GONE:
                return (
                    "Declare it again, for what is stored stays; or as a former name, which says what that is read as:"
                    f" @former({self.name!r}, version={self.version}, into=…)."
                )
            case ChangeKind.LOWERED:
                return "A version only rises."
            case ChangeKind.MEANING:
                return (
                    f"Raise its version and turn the old meaning into the new one in @upcaster({self.name!r},"
                    f" {self.version}); where that can't be told from what is stored, declare another event. If it"
                    f" means the same, run `manage.py events lock --same {self.name}`."
                )
            case ChangeKind.FIELDS:
                return (
                    f"Raise its version, declare @upcaster({self.name!r}, {self.version}), and keep a stored example of"
                    " it: an older process then waits for the newer code instead of misreading it."
                )
        return ""


def compare(locked: Lock, now: Lock) -> Iterator[Change]:
    """Where the running code isn't what was locked, by name."""
    for name in sorted({*locked.events, *locked.former, *now.events, *now.former}):
        old, new = locked.events.get(name), now.events.get(name)
        if name in now.former:
            if change := _former_change(name, locked, now):
                yield change
        elif old is None and name in locked.former:
            yield _gone(name, locked.former[name])
        elif old is None:
            yield Change(name, ChangeKind.NEW, new.version if new else None)
        elif new is None:
            yield _gone(name, old.version)
        elif change := _change(name, old, new, locked, now):
            yield change


def _gone(name: str, version: int) -> Change:
    return Change(name, ChangeKind.GONE, version, stored=("no code reads it any more.",))


def _former_change(name: str, locked: Lock, now: Lock) -> Change | None:
    """A name that no event has any more: what is stored under it is read in every version that was locked."""
    version, entry = now.former[name], locked.events.get(name)
    released = max(entry.version if entry else 0, locked.former.get(name, 0))
    if version < released:
        return Change(name, ChangeKind.LOWERED, version, stored=(f"version {released} is unknown to this code.",))
    return Change(name, ChangeKind.FORMER, version) if version != locked.former.get(name) else None


def faults(now: Lock) -> list[str]:
    """What is wrong with the stored examples: one of each version is there, and can be read. None where no file keeps
    them. Raises `UnreadableFile`.
    """
    kept = examples.read()
    if kept is None:
        return []
    known = {(each.type, each.version) for each in kept}
    last = {name: entry.version for name, entry in now.events.items()} | now.former
    versions = [(name, version) for name in sorted(last) for version in range(1, last[name] + 1)]
    missing = [
        f"{name}: no stored example of version {version} is kept."
        for name, version in versions
        if (name, version) not in known
    ]
    return missing + [fault for each in kept if (fault := _fault(each))]


def _change(name: str, old: Entry, new: Entry, locked: Lock, now: Lock) -> Change | None:
    if new.version < old.version:
        return Change(
            name, ChangeKind.LOWERED, new.version, stored=(f"version {old.version} is unknown to this code.",)
        )
    if new.version > old.version:
        return Change(name, ChangeKind.VERSION, new.version)
    before, after = Side(old.schema, locked.values), Side(new.schema, now.values)
    stored = tuple(misfits(before, after, stored=True))
    beside = tuple(misfits(after, before, stored=False))
    if stored or beside:
        return Change(name, ChangeKind.FIELDS, new.version, stored, beside)
    if _means_otherwise(old, new):
        return Change(name, ChangeKind.MEANING, new.version)
    if (old, values_of(old, locked)) != (new, values_of(new, now)):
        return Change(name, ChangeKind.FIELDS, new.version)
    return None


def _means_otherwise(old: Entry, new: Entry) -> bool:
    """Whether a field means something else than it was said to, or stands for something else where it is missing."""
    before, after = old.schema["properties"], new.schema["properties"]
    return any(
        old.meanings.get(name) not in {None, new.meanings.get(name)}
        or ("default" in before[name] and before[name]["default"] != after[name].get("default"))
        for name in before.keys() & after.keys()
    )


def values_of(entry: Entry, lock: Lock) -> dict[str, Schema]:
    """The values that an event says, and those that these say."""
    found: dict[str, Schema] = {}
    waiting = [*references(entry.schema)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = lock.values[name]
            waiting += references(found[name])
    return found


def _fault(example: Example) -> str | None:
    try:
        codec.read(example.type, example.version, example.json)
    except EventstoreError as error:
        return f"{example.type}: the stored example of version {example.version} can't be read ({error})"
    return None
