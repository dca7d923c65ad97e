"""Stored examples of events, one of each version that was ever released, in the file that `EVENTSTORE_EXAMPLES` names.

They are what today's code is held against, and what the catalogue shows.
"""

from pathlib import Path
from typing import Any

import msgspec

from eventstore import conf
from eventstore.errors import UnreadableFile


class Example(msgspec.Struct, frozen=True):
    """An event as the log keeps it."""

    type: str
    version: int
    data: dict[str, Any]

    @property
    def json(self) -> bytes:
        return msgspec.json.encode(self.data)


def read() -> list[Example] | None:
    """All of them; None where the setting names no file, or one that isn't there. Raises `UnreadableFile`."""
    named = conf.EXAMPLES.get()
    if named is None or not Path(named).exists():
        return None
    try:
        return msgspec.json.decode(Path(named).read_bytes(), type=list[Example])
    except (msgspec.MsgspecError, OSError) as error:
        raise UnreadableFile(f"{named} can't be read: {error}") from error
