"""The story of an entry of a waitlist: what became of it, and each turn that was another's while it waited, with the
reason why.
"""

from collections.abc import Collection, Mapping
from functools import partial
from uuid import UUID

from eventstore.events import Event
from ordering.admin import timeline
from ordering.admin.words import because, say, seats
from ordering.domain.waitlist import (
    Entry,
    Place,
    Waitlist,
    WaitlistChosen,
    WaitlistJoined,
    WaitlistPrioritised,
    waitlist_id_of,
)
from ordering.models import CustomerProfile, WaitlistEntry

NAMED = 3
"""Entries that were passed over and are named; of more, how many there were is told."""


def read(row: WaitlistEntry) -> list[timeline.Entry]:
    """The entries of its timeline, the newest at the end. Raises `UnknownHere`."""
    waitlist_id = waitlist_id_of(row.conference_id)
    told = timeline.changes(
        Waitlist, waitlist_id, Waitlist.evolvers, partial(tell, entry_id=row.pk, names=_names(row.conference_id))
    )
    return [each for each in told if each.words]


def tell(event: Event, before: Waitlist, *, entry_id: UUID, names: Mapping[UUID, str]) -> str:
    """What an event of a waitlist means to an entry; empty if nothing. Customers are called by their `names`."""
    if getattr(event, "entry_id", None) == entry_id:
        return _of_its_own(event, before, names)
    mine = before.entries.get(entry_id)
    return _of_another(event, before, mine, names) if mine and mine.place is Place.WAITING else ""


def _of_its_own(event: Event, before: Waitlist, names: Mapping[UUID, str]) -> str:
    match event:
        case WaitlistJoined():
            return f"{say(event)} {_before_it(before)}"
        case WaitlistChosen(passed_over=passed_over):
            return f"{say(event)}{_passed_over(before, passed_over, names)}"
        case WaitlistPrioritised(entry_id=entry_id, priority=priority, reason=reason):
            then = before.entries[entry_id].priority
            return f"The entry has priority {priority} instead of {then}{because(reason)}"
    return say(event)


def _of_another(event: Event, before: Waitlist, mine: Entry, names: Mapping[UUID, str]) -> str:
    match event:
        case WaitlistChosen(entry_id=other):
            return f"It was the turn of {_called(before.entries[other], names)}, {_why(before, event, mine)}."
        case WaitlistPrioritised(entry_id=other, priority=priority):
            theirs = before.entries[other]
            if (-priority, theirs.joined) < mine.rank < theirs.rank:
                return f"{_called(theirs, names)} comes first now, with priority {priority}."
    return ""


def _names(conference_id: UUID) -> dict[UUID, str]:
    """Of all customers who wait for a conference, or did."""
    waiting = WaitlistEntry.objects.filter(conference_id=conference_id).order_by().values("customer_id")
    return dict(CustomerProfile.objects.filter(pk__in=waiting).order_by().values_list("pk", "name"))


def _before_it(waitlist: Waitlist) -> str:
    """How many come before an entry that joins."""
    ahead = sum(entry.priority >= 0 for entry in waitlist.queue())
    return f"{ahead:,} waited before it." if ahead else "Nobody waited before it."


def _why(before: Waitlist, turn: WaitlistChosen, mine: Entry) -> str:
    """It was the turn of one entry, and not of another that waited."""
    theirs = before.entries[turn.entry_id]
    if mine.id in turn.passed_over:
        return (
            f"though this entry came first: {seats(mine.lines)} were not free, or are more than its customer may have"
        )
    if theirs.priority > mine.priority:
        return f"who has priority {theirs.priority}; this entry has {mine.priority}"
    return "who has waited longer"


def _passed_over(before: Waitlist, passed_over: Collection[UUID], names: Mapping[UUID, str]) -> str:
    if not passed_over:
        return ""
    named = ", ".join(_called(before.entries[other], names) for other in list(passed_over)[:NAMED])
    more = f" and {len(passed_over) - NAMED:,} more" if len(passed_over) > NAMED else ""
    return f" Passed over: {named}{more}, for so many were not free, or are more than the customer may have."


def _called(entry: Entry, names: Mapping[UUID, str]) -> str:
    return f"{_name(entry, names)} ({seats(entry.lines)})"


def _name(entry: Entry, names: Mapping[UUID, str]) -> str:
    return names.get(entry.customer_id) or str(entry.customer_id)
