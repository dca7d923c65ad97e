"""What a command would record: decided as `dispatch` decides it, and not carried out."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import commands, database, queries, repository, store
from eventstore.aggregates import Claim, Command
from eventstore.commands import CommandContext
from eventstore.database import Statement
from eventstore.events import Event


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a command would record by now; nothing if it is `repeated`: it was carried out before."""

    stream_id: UUID
    recorded: tuple[Event, ...]
    repeated: bool = False


def preview(
    command: Command,
    *,
    command_id: UUID | None = None,
    if_version: int | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Preview:
    """Let the aggregate decide about a command, from the log as it is at this moment, and write nothing: the database
    is told to refuse that.

    Nobody is waited for, and nobody waits for this: neither a hot stream nor the command's id is locked, and claims are
    looked up. So what is decided elsewhere meanwhile may make the command come to something else, and what is drawn by
    chance is another each time. Raises what `dispatch` does.
    """
    return commands.decided(lambda: _attempt(command, command_id, if_version, using), if_version)


def _attempt(command: Command, command_id: UUID | None, if_version: int | None, using: str) -> Preview:
    """What was decided on is not as the log has it, and is given to nobody."""
    kind, _ = commands.routes.handler(command)
    with database.transaction(using):
        database.pipeline(Statement(queries.WRITE_NOTHING), using=using)
        if command_id is not None and store.was_carried_out(command_id, using=using):
            return Preview(stream_id=command.stream_id, recorded=(), repeated=True)
        aggregate = repository.recall(kind, command.stream_id, using=using)
        since = store.read_stream(aggregate.id, repository.known_version(aggregate), using=using)
        aggregate = repository.evolve(aggregate, since, using=using)
        commands.to_append(command, aggregate, CommandContext(using), begun=bool(since), if_version=if_version)
        _check_claims(aggregate.claimed, aggregate.id, using)
    return Preview(stream_id=aggregate.id, recorded=tuple(aggregate.recorded))


def _check_claims(claimed: Sequence[Claim], stream_id: UUID, using: str) -> None:
    """Raises the refusal of the first that another stream holds, as an append does."""
    holders = store.held(claimed, using=using)
    for claim in claimed:
        if holders.get((claim.scope, claim.value), stream_id) != stream_id:
            raise claim.refusal
