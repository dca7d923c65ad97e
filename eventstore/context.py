"""Who asked, for what reason, in which conversation: the tracing columns fill themselves from here."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

import msgspec
import uuid_utils.compat as uuid_utils


def process_name() -> str:
    """Host and process id of this process, as shown to operators."""
    return f"{socket.gethostname()}:{os.getpid()}"


def new_id() -> UUID:
    """A UUIDv7: unique, and in order of time."""
    return uuid_utils.uuid7()


class Context(msgspec.Struct, frozen=True):
    """What an event inherits from the request, command or event that it follows from.

    `root` is the command id of the request that began the chain; None until a command is dispatched.
    """

    correlation_id: UUID
    causation_id: UUID | None = None
    actor: str = ""
    root: UUID | None = None
    hops: int = 0


_current: ContextVar[Context | None] = ContextVar("eventstore_context", default=None)


def current() -> Context:
    """The context of this request or task; a fresh conversation where none was begun."""
    return _current.get() or Context(correlation_id=new_id())


@contextmanager
def acting(**changes: object) -> Iterator[Context]:
    """Change some of the context for a while."""
    context = msgspec.structs.replace(current(), **changes)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
