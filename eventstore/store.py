"""The log: append, read, and the horizon up to which it is final. The only caller of `sql/`."""

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.crypto import salted_hmac
from psycopg.rows import RowFactory, RowMaker

from eventstore import advisory_locks, conf, context, handler_guard, queries
from eventstore.aggregates import Claim
from eventstore.codec import Recorded, encode, encoder
from eventstore.database import Statement, array, pipeline, session_of
from eventstore.errors import ClaimTaken, ConcurrencyConflict, SequenceSetBack, TooManyEvents, UnsafeTransaction
from eventstore.events import Event, Origin

MOST_EVENTS = 200
CHUNK = 500
SKEW = timedelta(seconds=2)
"""By which the clocks of processes may differ from that of the database."""

TRACED = 10_000
"""Events after a time that are searched for the one with an id."""

TICK = timedelta(microseconds=1)
"""Between two times that the database can tell apart."""
PATIENCE = 10.0


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream is to record: its events, onto the version it is expected to have (0: it must be new).

    `claimed` values must be held by no other stream, `released` ones (scope, value) are given back. `command_id` is
    of the command that says so, where several are carried out by one append.
    """

    stream_id: UUID
    category: str
    expected: int
    events: Sequence[Event]
    claimed: Sequence[Claim] = ()
    released: Sequence[tuple[str, str]] = ()
    command_id: UUID | None = None


class Appended(msgspec.Struct, frozen=True):
    """The first and the last position of what was appended, and the id of the last event; None when nothing was."""

    first: int | None
    last: int | None
    last_event_id: UUID | None = None


class NewEvent(msgspec.Struct):
    """A row of the log on its way in."""

    stream_id: UUID
    category: str
    version: int
    type: str
    schema_version: int
    data: msgspec.Raw
    event_id: UUID
    correlation_id: UUID
    causation_id: UUID | None
    actor: str
    metadata: Origin


class Append:
    """Changes on their way into the log: made to a statement, so that the COMMIT can travel with it."""

    def __init__(self, *changes: Changes, command_id: UUID | None = None) -> None:
        """Raises `InvalidEvent`, `TooManyEvents` above 200 events, `ActsWhileApplying`."""
        handler_guard.refuse_to("record events")
        self.changes = changes
        rows = _rows(changes, command_id)
        if len(rows) > MOST_EVENTS:
            raise TooManyEvents
        self.last_event_id = rows[-1].event_id if rows else None
        streams = array(change.stream_id for change in changes)
        expected = array(change.expected for change in changes)
        claims = _json(_claims(changes)) if any(change.claimed or change.released for change in changes) else None
        self.statement = Statement(queries.APPEND, [streams, expected, _json(rows), claims, command_id])

    def answer(self, rows: Sequence[tuple[int | None, int | None]]) -> Appended:
        """What became of it, by the rows of the statement."""
        ((first, last),) = rows
        return Appended(first, last, self.last_event_id)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """An error of the statement is raised as what it means: `ConcurrencyConflict` when a stream has moved on, a
        claim's refusal (`ClaimTaken` where there is none) when another stream holds a value, `SequenceSetBack` when
        another event has the position, `UnsafeTransaction`.
        """
        try:
            yield
        except psycopg.errors.UniqueViolation as error:
            raise _refusal(error, self.changes) from error
        except psycopg.errors.InvalidTransactionState as error:
            raise UnsafeTransaction from error


def append(*changes: Changes, command_id: UUID | None = None, using: str = DEFAULT_DB_ALIAS) -> Appended:
    """Append to one or several streams in one call to the database, all or nothing.

    With a `command_id` that command counts as carried out. Raises what `Append` and its `refusals` do.
    """
    made = Append(*changes, command_id=command_id)
    with made.refusals():
        return made.answer(pipeline(made.statement, using=using)[0])


def _rows(changes: Sequence[Changes], command_id: UUID | None) -> list[NewEvent]:
    tracing = context.current()
    return [
        NewEvent(
            stream_id=change.stream_id,
            category=change.category,
            version=version,
            type=event.stored,
            schema_version=event.schema,
            data=msgspec.Raw(encode(event)),
            event_id=context.new_id(),
            correlation_id=tracing.correlation_id,
            causation_id=causation or tracing.causation_id,
            actor=tracing.actor,
            metadata=origin,
        )
        for change in changes
        for causation in [change.command_id or command_id]
        for origin in [Origin(root=tracing.root or causation, hops=tracing.hops)]
        for version, event in enumerate(change.events, change.expected + 1)
    ]


class Standing(NamedTuple):
    """How things stand for many commands: which were carried out before, which streams have begun, and the time by the
    database's clock once all locks were had.
    """

    done: frozenset[UUID]
    begun: frozenset[UUID]
    now: datetime


def lock_and_look(commands: Sequence[UUID], streams: Sequence[UUID], *, using: str = DEFAULT_DB_ALIAS) -> Standing:
    """Take the locks of many command ids until this transaction ends, as `lock_and_load` takes one, and then look."""
    ids = array(commands)
    _, _, done, begun, ((now,),) = pipeline(
        Statement(queries.BE_PATIENT, [f"{1000 * PATIENCE:.0f}ms"]),
        Statement(queries.LOCK_COMMANDS, [advisory_locks.COMMAND, ids]),
        Statement(queries.CARRIED_OUT, [ids]),
        Statement(queries.BEGUN, [array(streams)]),
        Statement(queries.CLOCK),
        using=using,
    )
    return Standing(frozenset(found for (found,) in done), frozenset(found for (found,) in begun), now)


def was_carried_out(command_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether a command with this id is in the log, even if it recorded nothing."""
    (found,) = pipeline(Statement(queries.CARRIED_OUT, [array([command_id])]), using=using)
    return bool(found)


def held(claims: Iterable[Claim], *, using: str = DEFAULT_DB_ALIAS) -> dict[tuple[str, str], UUID]:
    """Which of these values, as scope and value, some stream holds at this moment, and which stream."""
    hashes = {
        hashed: (claim.scope, claim.value) for claim in claims for hashed in claim_hashes(claim.scope, claim.value)
    }
    return {hashes[each]: stream_id for each, stream_id in holding(hashes, using=using).items()}


def holding(hashes: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> dict[str, UUID]:
    """The same of values that are known by their `claim_hashes` alone."""
    asked = list(hashes)
    if not asked:
        return {}
    (found,) = pipeline(Statement(queries.HELD, [array(asked)]), using=using)
    return dict(found)


def claim_hashes(scope: str, value: str) -> list[str]:
    """A claimed value as it is kept: under the key, and under each of its fallbacks. So who knows only one of them is
    kept out as well, while processes with an old and with a new key run beside each other.
    """
    keys = (conf.CLAIM_KEY.get() or settings.SECRET_KEY, *conf.CLAIM_KEY_FALLBACKS.get())
    salt = f"eventstore.claim.{scope}"
    return [salted_hmac(salt, value, secret=key, algorithm="sha256").hexdigest() for key in keys]


class Holder(NamedTuple):
    """A stream that holds values: its category, and their hashes."""

    stream_id: UUID
    category: str
    hashes: frozenset[str]


def holders(after: UUID, limit: int, *, using: str = DEFAULT_DB_ALIAS) -> list[Holder]:
    """The next streams that hold values, in order of their ids."""
    (found,) = pipeline(Statement(queries.HOLDERS, [after, limit]), using=using)
    return [Holder(stream_id, category, frozenset(hashes)) for stream_id, category, hashes in found]


def count_holders(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """How many streams hold values."""
    return _only(Statement(queries.COUNT_HOLDERS), using)


def give_back_all_but(stream_id: UUID, hashes: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Let a stream hold nothing but this."""
    pipeline(Statement(queries.GIVE_BACK_ALL_BUT, [stream_id, array(hashes)]), using=using)


def record_carried_out(changes: Sequence[Changes]) -> Statement:
    """What notes, right after these changes were appended, that the command of each was carried out."""
    commands = array(change.command_id for change in changes if change.command_id)
    return Statement(queries.RECORD_COMMANDS, [commands, array(change.stream_id for change in changes)])


def read(after: int, upto: int, types: Iterable[str], limit: int, *, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """At most `limit` events of these types with `after < position <= upto`, in order of position."""
    return _recorded(queries.READ_EVENTS, [after, upto, list(types), limit], using)


def read_any(
    after: int,
    upto: int,
    limit: int,
    *,
    types: Collection[str] = (),
    categories: Collection[str] = (),
    stream_id: UUID | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> list[Recorded]:
    """What `read` gives, of any types, categories and streams unless some are named; also what this code can't read."""
    stored, in_them = (array(names) if names else None for names in (types, categories))
    asked = [after, upto, stored, stored, in_them, in_them, stream_id, stream_id, limit]
    return _recorded(queries.READ_ANY, asked, using)


def last_committed(upto: int, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The position of the last event up to a position, 0 if there is none."""
    return _only(Statement(queries.LAST_COMMITTED, [upto]), using)


def stream(
    after: int, upto: int, types: Iterable[str], limit: int, *, only: str = "true", using: str = DEFAULT_DB_ALIAS
) -> Generator[Recorded]:
    """The events that `read` gives, one by one, over a connection of its own: PostgreSQL works while the caller does.

    `only` is SQL about the columns of the log, true of those to give. Memory holds a few hundred events at a time.
    """
    parameters = [after, upto, list(types), limit]
    yield from _streamed(stream_query(only), parameters, _recorded_row, using)


def stream_query(only: str = "true") -> str:
    """The query of `stream`: after, upto, types and limit are its parameters, and `only` has none."""
    return queries.STREAM_EVENTS.format(only=only.replace("%", "%%"))


class StoredData(NamedTuple):
    """As much of a stored event as it takes to read it."""

    position: int
    stream_id: UUID
    category: str
    version: int
    type: str
    schema_version: int
    data: str


def stream_stored(
    after: int, upto: int, *, since: datetime | None = None, using: str = DEFAULT_DB_ALIAS
) -> Generator[StoredData]:
    """All events with `after < position <= upto`, or those of them that were recorded `since` a time, whether or not
    this code knows their types; one by one, as `stream` gives them.
    """
    yield from _streamed(queries.STREAM_STORED, [after, upto, since, since], _stored_row, using)


def read_stream(stream_id: UUID, after: int = 0, *, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """The events of a stream above a version, in order."""
    return _recorded(queries.READ_STREAM, [stream_id, after], using)


def read_stream_part(stream_id: UUID, after: int, most: int, *, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """The first of them, at most so many."""
    return _recorded(queries.READ_STREAM_PART, [stream_id, after, most], using)


def read_types(stream_id: UUID, types: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """The events of a stream that are of these types, in order."""
    return _recorded(queries.READ_STREAM_TYPES, [stream_id, list(types)], using)


def read_one(position: int, *, using: str = DEFAULT_DB_ALIAS) -> Recorded:
    """The event at a position. Raises IndexError where there is none."""
    return _recorded(queries.READ_EVENT, [position], using)[0]


def read_these(positions: Sequence[int], *, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """The events at these positions, in order."""
    return _recorded(queries.READ_THESE, [list(positions)], using)


def version_of(stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The version of the last event of a stream, 0 if it has none."""
    return _only(Statement(queries.STREAM_VERSION, [stream_id]), using)


def read_caused(command_id: UUID, appended: Appended, *, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """What a command recorded, in order."""
    return _recorded(queries.READ_CAUSED, [appended.first, appended.last, command_id], using)


def horizon(after: int = -1, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The position up to which the log is final; when nothing came after `after`, cheaper. Only on the primary."""
    return _only(Statement(queries.HORIZON, [after]), using)


def head(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """The last position that was handed out, whether or not it was committed."""
    return _only(Statement(queries.HEAD), using)


def position_before(moment: datetime, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The last position that was recorded before a time, 0 if there is none; quick for times that are not long ago."""
    return _only(Statement(queries.RECORDED_BEFORE, [moment]), using)


def position_until(moment: datetime, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The same with what was recorded at that very time."""
    return position_before(moment + TICK, using=using)


def position_at(moment: datetime, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The same, by some twenty looks at the log however long ago that was. Events that are appended within the same
    moment may get their positions and their times the other way round, by fractions of a second; whoever needs it to
    the event looks at what stands beside it.
    """
    return _only(Statement(queries.POSITION_AT, {"moment": moment}), using)


def read_traced(id_: UUID, *, limit: int, using: str = DEFAULT_DB_ALIAS) -> list[Recorded]:
    """The first events of this correlation, or else the event that has this id: that is looked for among those that
    were recorded soon after the time that the id tells. One that tells none, for it is no UUIDv7, is no event's.
    """
    (found,) = pipeline(Statement(queries.CORRELATED, {"id": id_, "limit": limit}), using=using)
    if not found and id_.version == 7:
        after = position_at(datetime.fromtimestamp((id_.int >> 80) / 1000, UTC) - SKEW, using=using)
        (found,) = pipeline(Statement(queries.IDENTIFIED, {"id": id_, "after": after, "most": TRACED}), using=using)
    return read_these([position for (position,) in found], using=using) if found else []


class PositionSequence(NamedTuple):
    """What hands out positions: how many a session takes at once, the `last` one, and the highest that is used or was
    passed.
    """

    cache: int
    last: int
    highest: int


def position_sequence(*, using: str = DEFAULT_DB_ALIAS) -> PositionSequence:
    """How the sequence of the log stands."""
    ((found,),) = pipeline(Statement(queries.SEQUENCE), using=using)
    return PositionSequence(*found)


def set_back(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """What is wrong, and puts it right, where new events would get positions that subscribers have passed already."""
    _, last, highest = position_sequence(using=using)
    return set_back_text(last, highest)


def set_back_text(last: int, highest: int) -> str:
    """The same, of a sequence that stands at `last` where `highest` is used or was passed."""
    if last >= highest:
        return ""
    return (
        f"The log's sequence stands at {last:,}, but {highest:,} is used already: "
        f"setval('eventstore_event_position_seq', {highest}) puts it right."
    )


def refuse_set_back(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Raises `SequenceSetBack` where new events would get positions that subscribers have passed already."""
    if wrong := set_back(using=using):
        raise SequenceSetBack(wrong)


class Read(Recorded, kw_only=True):
    """An event as the functions in `sql/` tell it, as JSON."""

    data: msgspec.Raw
    metadata: msgspec.Raw


class Loaded(msgspec.Struct):
    """What `sql/load_v1.sql` tells: the first and the last position that the command appended, if it was carried out
    before; the time by the database's clock once all locks were had; the events that were asked for.
    """

    now: datetime
    done: tuple[int | None, int | None] | None
    events: list[Read] | None


_decode_loaded = msgspec.json.Decoder(Loaded).decode


def lock_and_load(
    command_id: UUID,
    stream_id: UUID,
    after: int,
    *,
    queue: bool,
    patience: float = PATIENCE,
    using: str = DEFAULT_DB_ALIAS,
) -> tuple[Appended | None, Sequence[Recorded], datetime]:
    """Take the lock of a command id until this transaction ends, and with `queue` that of its stream; then tell what
    the command appended, if it ran before, else the events of its stream above a version, and the time by the
    database's clock once all locks were had. Each lock is waited for, for `patience` seconds at most.
    """
    asked = Statement(queries.LOAD, [command_id, stream_id, after, queue, f"{1000 * patience:.0f}ms"])
    ((found,),) = pipeline(asked, using=using)[0]
    loaded = _decode_loaded(found)
    return (Appended(*loaded.done) if loaded.done else None), loaded.events or (), loaded.now


def _streamed(query: str, parameters: Sequence[Any], rows: RowFactory[Any], using: str) -> Generator[Any]:
    connection = connections[using].copy()
    try:
        raw = session_of(connection)
        raw.execute(f"{queries.READ_ONLY}; {queries.BY_INDEX}")
        with psycopg.Cursor(raw, row_factory=rows) as cursor:
            yield from cursor.stream(query, parameters, binary=True, size=CHUNK)
    finally:
        connection.close()


def _stored_row(_: psycopg.Cursor[Any]) -> RowMaker[StoredData]:
    return StoredData._make


def _recorded_row(_: psycopg.Cursor[Any]) -> RowMaker[Recorded]:
    return _make_recorded


def _make_recorded(values: Sequence[Any]) -> Recorded:
    """In the order of `queries.EVENT_COLUMNS`; quicker than by their names."""
    (
        position, stream_id, category, version, kind, schema_version, data, event_id,
        correlation_id, causation_id, actor, recorded_at, metadata,
    ) = values  # fmt: skip
    return Recorded(
        position=position,
        stream_id=stream_id,
        category=category,
        version=version,
        type=kind,
        schema_version=schema_version,
        data=data,
        event_id=event_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
        actor=actor,
        recorded_at=recorded_at,
        metadata=metadata,
    )


def _recorded(query: str, parameters: Sequence[Any], using: str) -> list[Recorded]:
    (found,) = pipeline(Statement(query, parameters, _recorded_row), using=using)
    return found


def _only(statement: Statement, using: str) -> int:
    (((value,),),) = pipeline(statement, using=using)
    return int(value)


def _json(value: object) -> str:
    return encoder.encode(value).decode()


def _claims(changes: Sequence[Changes]) -> list[dict[str, Any]]:
    return [
        {"hash": hashed, "stream_id": change.stream_id, "taken": taken}
        for change in changes
        for scope, value, taken in (
            *((scope, value, False) for scope, value in change.released),
            *((claim.scope, claim.value, True) for claim in change.claimed),
        )
        for hashed in claim_hashes(scope, value)
    ]


def _refusal(error: psycopg.errors.UniqueViolation, changes: Sequence[Changes]) -> Exception:
    """Which of our rules a unique violation stands for, told by the constraint's name."""
    if error.diag.constraint_name == "eventstore_event_stream_version":
        return ConcurrencyConflict()
    if error.diag.constraint_name == "eventstore_claim_pkey":
        held = (claim for change in changes for claim in change.claimed)
        refusals = [
            claim.refusal for claim in held if error.diag.message_detail in claim_hashes(claim.scope, claim.value)
        ]
        return refusals[0] if refusals else ClaimTaken()
    if error.diag.constraint_name == "eventstore_event_pkey":
        return SequenceSetBack()
    return error
