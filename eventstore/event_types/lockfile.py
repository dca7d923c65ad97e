"""The lock file of events, named by the setting `EVENTSTORE_LOCK`: what each event said when it was committed."""

from pathlib import Path

import msgspec

from eventstore import conf
from eventstore.codec import formers
from eventstore.errors import UnreadableFile
from eventstore.event_types import schemas
from eventstore.event_types.compatibility import bare
from eventstore.event_types.schemas import Schema
from eventstore.events import catalogue


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event in its version: the schema of its fields, and what each means, where it says so."""

    version: int
    schema: Schema
    meanings: dict[str, str] = {}


class Lock(msgspec.Struct, omit_defaults=True):
    """Events by stored name, and the values that their fields refer to by name. `former` are names that no event has
    any more, with the last version that was stored under each.
    """

    events: dict[str, Entry] = {}
    former: dict[str, int] = {}
    values: dict[str, Schema] = {}


def path() -> Path | None:
    named = conf.LOCK.get()
    return Path(named) if named else None


def read() -> Lock:
    """What is locked; nothing without a file. Raises `UnreadableFile`."""
    file = path()
    if file is None or not file.exists():
        return Lock()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Lock)
    except (msgspec.MsgspecError, OSError) as error:
        raise UnreadableFile(f"{file} can't be read: {error}") from error


def write(file: Path, lock: Lock) -> None:
    text = msgspec.json.encode(lock, order="sorted")
    file.write_bytes(msgspec.json.format(text, indent=1) + b"\n")


def declared() -> Lock:
    """What would be locked of the running code, as it is read from the file: with lists where code has tuples."""
    found = schemas.schemas()
    entries = {
        name: Entry(catalogue[name].schema, bare(schema), schemas.meanings(catalogue[name]))
        for name, schema in found.events.items()
    }
    values = {name: bare(schema) for name, schema in found.values.items()}
    lock = Lock(entries, {each.name: each.version for each in formers()}, values)
    return msgspec.json.decode(msgspec.json.encode(lock), type=Lock)
