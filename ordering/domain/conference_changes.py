"""What staff change about a conference once it is scheduled: what they ask for, and what has happened then."""

from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

import msgspec

from eventstore.aggregates import Command, command
from eventstore.events import Event, event
from ordering.domain.terms import CancellationRule, PaymentTerms
from ordering.domain.values import Moment, Money

MAIL_NOTE_LIMIT = 1_000
"""How many characters a paragraph of the organizer's may have."""


class Pool(msgspec.Struct, frozen=True):
    """Room that several seat types share, such as a hall: every seat of theirs takes one place in it."""

    code: str
    name: str
    capacity: int


class Hold(msgspec.Struct, frozen=True):
    """Seats that are kept from sale, for speakers or sponsors. The label says for whom."""

    seat_type: str
    quantity: int
    label: str


@event("conference.renamed")
class ConferenceRenamed(Event):
    conference_id: UUID
    name: str


@event("conference.moved")
class ConferenceMoved(Event):
    """All of when and where, whichever of them changed."""

    conference_id: UUID
    starts_at: Moment
    time_zone: str
    place: str


@event("conference.sales-window-changed")
class SalesWindowChanged(Event):
    conference_id: UUID
    opens_at: Moment
    closes_at: Moment


@event("conference.sales-closed")
class SalesClosed(Event):
    """Whatever the sales window says, until they are opened again."""

    conference_id: UUID
    reason: str


@event("conference.sales-reopened")
class SalesReopened(Event):
    conference_id: UUID


@event("conference.mail-note-changed")
class MailNoteChanged(Event):
    """A paragraph of the organizer's in every mail about an order from now on; none if it is empty."""

    conference_id: UUID
    note: str


@event("conference.cancelled")
class ConferenceCancelled(Event):
    conference_id: UUID
    reason: str


@event("conference.orders-called-off")
class OrdersCalledOff(Event):
    """The next orders of a cancelled conference to be cancelled; `left` are those with seats that come after them."""

    conference_id: UUID
    order_ids: tuple[UUID, ...]
    left: int


@event("conference.payment-terms-changed")
class PaymentTermsChanged(Event):
    """Orders that wait for their payment keep the time that they have."""

    conference_id: UUID
    terms: PaymentTerms


@event("conference.cancellation-rule-changed")
class CancellationRuleChanged(Event):
    """For all orders that are cancelled from now on, whenever they were placed."""

    conference_id: UUID
    rule: CancellationRule


@event("conference.customer-limit-changed")
class CustomerLimitChanged(Event):
    """How many seats one customer may have, over all orders; None for as many as they like."""

    conference_id: UUID
    max_per_customer: int | None


@event("conference.providers-changed")
class ProvidersChanged(Event):
    """By which payment providers new orders are paid, the usual one first; by that of the site if there are none."""

    conference_id: UUID
    providers: tuple[str, ...]


@event("seats.repriced")
class SeatsRepriced(Event):
    """What orders cost that were placed before stays as it is."""

    conference_id: UUID
    seat_type: str
    price: Money


@event("seats.capacity-changed")
class SeatCapacityChanged(Event):
    """The capacity is all that the type has now, and not the difference."""

    conference_id: UUID
    seat_type: str
    capacity: int
    reason: str


@event("seats.renamed")
class SeatsRenamed(Event):
    conference_id: UUID
    seat_type: str
    name: str


@event("seats.limit-changed", version=2)
class SeatLimitChanged(Event):
    """How many seats of the type one order may have that has any. Version 1 had no `min_per_order`."""

    conference_id: UUID
    seat_type: str
    max_per_order: int
    min_per_order: int = 1


@event("seats.pools-assigned")
class PoolsAssigned(Event):
    """The codes of all pools that the seat type draws on from now on."""

    conference_id: UUID
    seat_type: str
    pools: tuple[str, ...]


@event("seats.pool-added")
class PoolAdded(Event):
    conference_id: UUID
    pool: Pool


@event("seats.pool-renamed")
class PoolRenamed(Event):
    conference_id: UUID
    pool: str
    name: str


@event("seats.pool-capacity-changed")
class PoolCapacityChanged(Event):
    conference_id: UUID
    pool: str
    capacity: int
    reason: str


@event("seats.held")
class SeatsHeld(Event):
    conference_id: UUID
    hold_id: UUID
    seat_type: str
    quantity: int
    label: str
    reason: str


@event("seats.hold-released")
class HoldReleased(Event):
    """So many seats of the hold are free again; of all of them, the hold is gone."""

    conference_id: UUID
    hold_id: UUID
    seat_type: str
    quantity: int


class ConferenceChange(Command):
    """What staff ask for. `seen` is the version of the terms that they looked at: if others have changed them since,
    they look again. Orders change no terms.
    """

    conference_id: UUID
    seen: int | None = None


@command("conference.rename", stream="conference_id")
class RenameConference(ConferenceChange):
    name: str


@command("conference.move", stream="conference_id")
class MoveConference(ConferenceChange):
    starts_at: Moment
    time_zone: str
    place: str


@command("conference.change-sales-window", stream="conference_id")
class ChangeSalesWindow(ConferenceChange):
    opens_at: Moment
    closes_at: Moment


@command("conference.close-sales", stream="conference_id")
class CloseSales(ConferenceChange):
    reason: str


@command("conference.reopen-sales", stream="conference_id")
class ReopenSales(ConferenceChange):
    """The sales window counts again."""


@command("conference.change-mail-note", stream="conference_id")
class ChangeMailNote(ConferenceChange):
    """Plain text of at most `MAIL_NOTE_LIMIT` characters; empty for none."""

    note: str


@command("conference.cancel", stream="conference_id")
class CancelConference(ConferenceChange):
    """It ends sales for good. Its orders are cancelled after that, some at a time."""

    reason: str


@command("conference.call-off-orders", stream="conference_id")
class CallOffOrders(Command):
    """Name the next orders to be cancelled, `most` at most; none if there are no more."""

    conference_id: UUID
    most: int


@command("conference.change-payment-terms", stream="conference_id")
class ChangePaymentTerms(ConferenceChange):
    terms: PaymentTerms


@command("conference.change-cancellation-rule", stream="conference_id")
class ChangeCancellationRule(ConferenceChange):
    rule: CancellationRule


@command("conference.limit-customers", stream="conference_id")
class LimitCustomers(ConferenceChange):
    """None for no limit. Who has more seats already keeps them."""

    max_per_customer: int | None


@command("conference.change-providers", stream="conference_id")
class ChangeProviders(ConferenceChange):
    """Their names, the usual one first; none for that of the site."""

    providers: tuple[str, ...]


@command("seats.reprice", stream="conference_id")
class RepriceSeats(ConferenceChange):
    seat_type: str
    price: Money


@command("seats.change-capacity", stream="conference_id")
class ChangeCapacity(ConferenceChange):
    """Less needs a reason."""

    seat_type: str
    capacity: int
    reason: str = ""


@command("seats.change-type", stream="conference_id")
class ChangeSeatType(ConferenceChange):
    seat_type: str
    name: str
    max_per_order: int
    min_per_order: int = 1


@command("seats.assign-pools", stream="conference_id")
class AssignPools(ConferenceChange):
    """Instead of those that the seat type draws on now."""

    seat_type: str
    pools: tuple[str, ...]


@command("seats.add-pool", stream="conference_id")
class AddPool(ConferenceChange):
    pool: Pool


@command("seats.change-pool", stream="conference_id")
class ChangePool(ConferenceChange):
    """Less capacity needs a reason."""

    pool: str
    name: str
    capacity: int
    reason: str = ""


@command("seats.hold", stream="conference_id")
class HoldSeats(ConferenceChange):
    hold_id: UUID
    seat_type: str
    quantity: int
    label: str
    reason: str


@command("seats.release-hold", stream="conference_id")
class ReleaseHold(ConferenceChange):
    hold_id: UUID
    quantity: int


@cache
def time_zones() -> frozenset[str]:
    """The IANA names of all time zones that this machine knows."""
    return frozenset(available_timezones())
