"""A small business to try sagas and effects with: parcels are packed and labelled, in whatever order, then sent off.

What shall go wrong with a parcel is written in a table, so that every process does alike. The business is declared only
while a test needs it: what checks all events is not to meet these.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import msgspec

from eventstore import commands
from eventstore.aggregates import Aggregate, Command, command, handles, on
from eventstore.context import acting, new_id
from eventstore.errors import DomainError
from eventstore.events import Event, catalogue, event
from eventstore.models import SubscriberRow
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Subscriber
from eventstore.testing.subscribers import given
from sagas.models import OutboxCommand, Timer, Transition
from sagas.saga import Saga, on_refusal
from sagas.saga import on as reacts
from sagas.steps import End, Send
from tests.integration.eventstore.probes import query


class TooHeavy(DomainError):
    """This parcel is too heavy."""

    code = "too-heavy"


@event("parcel.packed")
class Packed(Event):
    parcel_id: UUID


@event("parcel.labelled")
class Labelled(Event):
    parcel_id: UUID


@event("parcel.sent-off")
class SentOff(Event):
    parcel_id: UUID
    note: str


@command("parcel.send-off", stream="parcel_id")
class SendOff(Command):
    parcel_id: UUID
    note: str = ""


class Parcel(Aggregate, category="parcel"):
    """May be sent off as often as somebody likes, unless something is wrong with it."""

    @handles(SendOff)
    def send_off(self, command, facts):
        match wrong_with(self.id):
            case None:
                self.record(SentOff(parcel_id=self.id, note=command.note))
            case "heavy":
                raise TooHeavy
            case "broken":
                raise ValueError(self.id)
            case statement:
                query(statement)

    @on(Packed)
    def _packed(self, event): ...

    @on(Labelled)
    def _labelled(self, event): ...

    @on(SentOff)
    def _sent_off(self, event): ...


class ShippingState(msgspec.Struct):
    """What is ready, and why it could not be sent off."""

    packed: bool = False
    labelled: bool = False
    refused: str = ""


class Shipping(Saga[ShippingState], name="shipping"):
    """Sends a parcel off once it is both packed and labelled."""

    state = ShippingState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        state.packed = True
        yield from self.go_on(state, event.parcel_id)

    @reacts(Labelled, key="parcel_id", starts=True)
    def labelled(self, state, event, meta):
        state.labelled = True
        yield from self.go_on(state, event.parcel_id)

    @reacts(SentOff, key="parcel_id")
    def sent_off(self, state, event, meta):
        yield End()

    @on_refusal(SendOff)
    def command_refused(self, state, event, meta):
        state.refused = event.code

    def go_on(self, state, parcel_id):
        if state.packed and state.labelled:
            yield Send(SendOff(parcel_id=parcel_id))


EVENTS = (Packed, Labelled, SentOff)


@contextmanager
def declared() -> Iterator[None]:
    """There are parcels for a while."""
    declare()
    try:
        yield
    finally:
        withdraw()


def declare() -> None:
    for each in EVENTS:
        catalogue.register(each)
    commands.register({Parcel: (SendOff,)})


def withdraw() -> None:
    catalogue.unregister(*EVENTS)
    commands.routes.unregister(Parcel)


@contextmanager
def following(*subscribers: Subscriber) -> Iterator[None]:
    """These subscribers are deployed, from where the log is now; then they are gone, and their rows stay."""
    for each in subscribers:
        registry.register(each)
    try:
        registry.forget_rows()
        registry.make_rows()
        yield
    finally:
        for each in subscribers:
            registry.unregister(each)
        registry.forget_rows()


def parcel(*kinds: type[Packed] | type[Labelled], parcel_id: UUID | None = None) -> UUID:
    """Something happens to a parcel, a new one if none is said, and nobody has heard of it yet."""
    parcel_id = parcel_id or new_id()
    with acting(correlation_id=new_id()):
        given(parcel_id, *(kind(parcel_id=parcel_id) for kind in kinds), category="parcel")
    return parcel_id


@contextmanager
def newer(kind: type[Event]) -> Iterator[None]:
    """This process is one of tomorrow, which knows another schema of an event."""
    kind.schema += 1
    try:
        yield
    finally:
        kind.schema -= 1


def go_wrong(parcel_id: UUID, how: str) -> None:
    """Too `heavy`, `broken`, or a statement that fails."""
    query("INSERT INTO probe_wrong VALUES (%s, %s)", str(parcel_id), how)


def wrong_with(parcel_id: UUID) -> str | None:
    found = query("SELECT statement FROM probe_wrong WHERE key = %s", str(parcel_id))
    return found[0][0] if found else None


def mend() -> None:
    query("DELETE FROM probe_wrong")


def sent_off(parcel_id: UUID) -> list[str]:
    """The notes under which a parcel was sent off, in order."""
    found = query("SELECT data->>'note' FROM eventstore_event WHERE stream_id = %s AND type = %s ORDER BY version",
                  parcel_id, SentOff.stored)  # fmt: skip
    return [note for (note,) in found]


def row(name: str) -> SubscriberRow:
    return SubscriberRow.objects.get(pk=name)


def story(parcel_id: UUID) -> list[str]:
    """What an instance heard, in order."""
    return [each.type for each in Transition.objects.filter(key=str(parcel_id)).order_by("position")]


def outgoing(parcel_id: UUID) -> list[str]:
    """What became of the commands of an instance, in order."""
    return [each.status for each in OutboxCommand.objects.filter(key=str(parcel_id)).order_by("id")]


def timers(parcel_id: UUID) -> list[str]:
    return [each.status for each in Timer.objects.filter(key=str(parcel_id)).order_by("id")]


withdraw()
