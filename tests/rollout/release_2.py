"""The second release: weights are in grams, what is heavy is insured first, a notice tells that a parcel was sent off,
and postage is printed.
"""

from datetime import timedelta
from uuid import UUID

import msgspec

from eventstore import commands
from eventstore.aggregates import Aggregate, Command, command, handles, on
from eventstore.codec import upcaster
from eventstore.events import Event, event
from eventstore.subscriptions.registry import registry
from sagas.effects.effect import AT_LEAST_ONCE, AT_MOST_ONCE, effect
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.steps import After, End, Send
from tests.rollout.common import Pack, Parcels, SendOff, SentOff, note

HEAVY = 20_000


@event("parcel.packed", version=2)
class Packed(Event):
    """Version 1 had `kilograms`."""

    parcel_id: UUID
    grams: int


@upcaster("parcel.packed", 1)
def in_grams(data):
    return data | {"grams": 1000 * data["kilograms"]}


@event("parcel.insured")
class Insured(Event):
    parcel_id: UUID


@command("parcel.insure", stream="parcel_id")
class Insure(Command):
    parcel_id: UUID


class Parcel(Aggregate, category="parcel"):
    @handles(Pack, creates=True)
    def pack(self, command, facts):
        self.record(Packed(parcel_id=self.id, grams=1000 * command.kilograms))

    @handles(Insure)
    def insure(self, command, facts):
        self.record(Insured(parcel_id=self.id))

    @handles(SendOff)
    def send_off(self, command, facts):
        self.record(SentOff(parcel_id=self.id))

    @on(Packed)
    def _packed(self, event): ...

    @on(Insured)
    def _insured(self, event): ...

    @on(SentOff)
    def _sent_off(self, event): ...


class Shipping(Saga[msgspec.Struct], name="shipping", version=2):
    """Sends parcels off, insured if they are heavy; letters people do themselves."""

    state = msgspec.Struct

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        if event.grams:
            next_one = Insure if event.grams > HEAVY else SendOff
            yield After(timedelta(), next_one(parcel_id=event.parcel_id), name="shipping")

    @reacts(Insured, key="parcel_id")
    def insured(self, state, event, meta):
        yield Send(SendOff(parcel_id=event.parcel_id))

    @reacts(SentOff, key="parcel_id")
    def sent_off(self, state, event, meta):
        yield End()


@effect("parcel.packing-list", on=Packed, delivery=AT_MOST_ONCE)
def print_packing_list(event, meta):
    assert event.grams >= 0
    note(print_packing_list, meta)


@effect("parcel.notice", on=SentOff, delivery=AT_LEAST_ONCE, retries=0, version=2)
def give_notice(event, meta):
    note(give_notice, meta)


@effect("parcel.postage", on=Packed, delivery=AT_MOST_ONCE)
def print_postage(event, meta):
    note(print_postage, meta)


commands.register({Parcel: (Pack, Insure, SendOff)})
registry.register(Parcels(), Shipping(), print_packing_list, give_notice, print_postage)
