"""The lock file, named by the setting `PROJECTIONS_LOCK`: which code of each version of a projection was committed."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from projections import conf
from projections.errors import UnreadableLock


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A projection as it was locked. `same_as` are fingerprints of former code that folds the same rows."""

    version: int
    fingerprint: str
    same_as: tuple[str, ...] = ()

    @property
    def equal(self) -> frozenset[str]:
        return frozenset({self.fingerprint, *self.same_as})


def path() -> Path | None:
    named = conf.LOCK.get()
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
