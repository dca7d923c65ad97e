"""Parcels are packed and sent off: what both releases have of that."""

import os
from pathlib import Path
from uuid import UUID

from eventstore.aggregates import Command, command
from eventstore.events import Event, Meta, event
from eventstore.subscriptions.subscriber import Mode
from sagas.effects.effect import Effect
from tests.integration.eventstore.probes import Probe


@event("parcel.sent-off")
class SentOff(Event):
    parcel_id: UUID


@command("parcel.pack", stream="parcel_id")
class Pack(Command):
    parcel_id: UUID
    kilograms: int


@command("parcel.send-off", stream="parcel_id")
class SendOff(Command):
    parcel_id: UUID


class Parcels(Probe):
    """A read model, which workers feed."""

    types = frozenset({"parcel.packed", "parcel.sent-off"})

    def __init__(self):
        super().__init__("parcels", mode=Mode.ASYNC)

    def keys(self, recorded):
        return [str(recorded.event.parcel_id)]


def note(effect: Effect, meta: Meta) -> None:
    """A line in the file NOTES: which side effect, at which position."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{effect.name} {meta.position}\n")
