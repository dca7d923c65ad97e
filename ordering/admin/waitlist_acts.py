"""What staff do about an entry of a waitlist, each a form that becomes a command."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms

from eventstore import store
from eventstore.aggregates import Command
from ordering.admin.acts import REASON, Act, StreamAct, as_id
from ordering.admin.formatting import in_zone
from ordering.admin.words import sentence
from ordering.domain.waitlist import (
    HIGHEST_PRIORITY,
    LeaveWaitlist,
    Leaving,
    Place,
    PrioritiseEntry,
    Waitlist,
    waitlist_id_of,
)
from ordering.models import CustomerProfile, WaitlistEntry

MANAGE = "ordering.manage_waitlist"


class EntryAct(StreamAct):
    """An act about an entry: the key is its id. Others who join or leave the list meanwhile change nothing about it."""

    kind = Waitlist
    permission = MANAGE

    @classmethod
    def stream_id(cls, row: WaitlistEntry) -> UUID:
        return waitlist_id_of(row.conference_id)

    @classmethod
    def fits(cls, about: Waitlist, key: str) -> bool:
        return as_id(key) in about.entries

    def find(self) -> None:
        """An entry that is off the list stays a row."""
        super().find()
        self.entry = self.aggregate.entries.get(self.row.pk)
        self.customer = CustomerProfile.objects.filter(pk=self.row.customer_id).first()

    @property
    def version(self) -> int:
        return self.row.version

    @property
    def if_version(self) -> int | None:
        """Nothing may come between this look at the list and the command, if the entry is as it was seen."""
        seen: int | None = self.cleaned_data["seen"]
        return self.aggregate.version if seen == self.version else seen or 0

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Customer", self.customer or self.row.customer_id
        yield "Waits for" if self.entry else "Waited for", self.row
        if self.entry and self.entry.place is Place.WAITING:
            yield "Place in line", self.aggregate.queue().index(self.entry) + 1
        if self.entry and self.entry.until:
            yield "Has an offer until", in_zone(self.entry.until, "UTC")

    def changes(self) -> Sequence[str]:
        since = store.read_stream(self.stream_id(self.row), self.cleaned_data["seen"] or 0)
        return [sentence(each) for each in since if getattr(each.event, "entry_id", None) == self.row.pk]


class Prioritise(EntryAct):
    verb, done = "Set the priority", "The entry has another priority."
    warning = "Whoever has a higher priority comes first. Of those who have the same, whoever joined first."

    priority = forms.IntegerField(
        min_value=-HIGHEST_PRIORITY, max_value=HIGHEST_PRIORITY, help_text="0 unless it was set."
    )
    reason = forms.CharField(max_length=500, help_text=REASON)

    @classmethod
    def fits(cls, about: Waitlist, key: str) -> bool:
        """Who has an offer is next already."""
        entry = about.entries.get(as_id(key))
        return entry is not None and entry.place is not Place.OFFERED

    def known(self) -> Mapping[str, Any]:
        return {"priority": self.row.priority}

    def command(self) -> Command:
        given = self.cleaned_data
        return PrioritiseEntry(
            waitlist_id=self.aggregate.id,
            entry_id=self.row.pk,
            priority=given["priority"],
            reason=given["reason"],
        )


class TakeOff(EntryAct):
    verb, done = "Take off the list", "The entry is off the waitlist."
    warning = "It loses its place: whoever wants to wait again joins at the end. A mail says so, without the reason."

    reason = forms.CharField(max_length=500, help_text=REASON)

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield from super().facts()
        if self.entry and self.entry.seats_id:
            yield "Its seats", "are given back at once, and offered to whoever is next"

    def command(self) -> Command:
        return LeaveWaitlist(
            waitlist_id=self.aggregate.id,
            entry_id=self.row.pk,
            reason=Leaving.STAFF,
            note=self.cleaned_data["reason"],
        )


ACTS: Mapping[str, type[Act]] = {"priority": Prioritise, "take-off": TakeOff}
"""About an entry, by the word in their addresses."""
