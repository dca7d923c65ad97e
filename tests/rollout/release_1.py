"""The first release."""

from datetime import timedelta
from uuid import UUID

import msgspec

from eventstore import commands
from eventstore.aggregates import Aggregate, handles, on
from eventstore.events import Event, event
from eventstore.subscriptions.registry import registry
from sagas.effects.effect import AT_LEAST_ONCE, AT_MOST_ONCE, effect
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.steps import After, End
from tests.rollout.common import Pack, Parcels, SendOff, SentOff, note


@event("parcel.packed")
class Packed(Event):
    parcel_id: UUID
    kilograms: int


class Parcel(Aggregate, category="parcel"):
    @handles(Pack, creates=True)
    def pack(self, command, facts):
        self.record(Packed(parcel_id=self.id, kilograms=command.kilograms))

    @handles(SendOff)
    def send_off(self, command, facts):
        self.record(SentOff(parcel_id=self.id))

    @on(Packed)
    def _packed(self, event): ...

    @on(SentOff)
    def _sent_off(self, event): ...


class Shipping(Saga[msgspec.Struct], name="shipping"):
    """Sends parcels off; what weighs nothing is a letter, which people do themselves."""

    state = msgspec.Struct

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        if event.kilograms:
            yield After(timedelta(), SendOff(parcel_id=event.parcel_id), name="shipping")

    @reacts(SentOff, key="parcel_id")
    def sent_off(self, state, event, meta):
        yield End()


@effect("parcel.packing-list", on=Packed, delivery=AT_MOST_ONCE)
def print_packing_list(event, meta):
    assert event.kilograms >= 0
    note(print_packing_list, meta)


@effect("parcel.notice", on=Packed, delivery=AT_LEAST_ONCE, retries=0)
def give_notice(event, meta):
    """The customer hears of a parcel as soon as it is packed."""
    assert event.kilograms >= 0
    note(give_notice, meta)


commands.register({Parcel: (Pack, SendOff)})
registry.register(Parcels(), Shipping(), print_packing_list, give_notice)
