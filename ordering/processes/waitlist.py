"""The waitlist: who is refused seats joins it, and seats that become free are offered to those who wait.

A worker does this, after the sale has gone on: no order waits for a list.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from uuid import UUID

import msgspec

from eventstore.events import Event, Meta
from eventstore.subscriptions.subscriber import Mode
from ordering import conf
from ordering.domain.conference_changes import (
    ConferenceCancelled,
    HoldReleased,
    PoolCapacityChanged,
    PoolsAssigned,
    SalesReopened,
    SalesWindowChanged,
    SeatCapacityChanged,
)
from ordering.domain.order import PlaceOrder
from ordering.domain.seats import (
    SOLD_OUT,
    ReleaseSeats,
    ReserveSeats,
    SeatsAdded,
    SeatsChanged,
    SeatsRefused,
    SeatsReleased,
    SeatsReserved,
)
from ordering.domain.waitlist import (
    ChooseEntries,
    ClearWaitlist,
    JoinAfterRefusal,
    LapseOffer,
    Leaving,
    MissOrder,
    MissSeats,
    OfferSeats,
    WaitlistAccepted,
    WaitlistChosen,
    WaitlistDeclined,
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOffered,
    WaitlistSeatsMissed,
    waitlist_id_of,
)
from sagas.refusal import CommandRefused
from sagas.saga import G, S, Saga, on, on_refusal
from sagas.steps import At, Cancel, Send, Step

OFFER_TIMER = "waitlist-offer"
SALES_TIMER = "waitlist-sales"

MAY_FREE_SEATS = (
    SeatsReleased,
    SeatsChanged,
    SeatsAdded,
    SeatCapacityChanged,
    PoolCapacityChanged,
    PoolsAssigned,
    HoldReleased,
    SalesReopened,
    WaitlistSeatsMissed,
)

Reaction = Callable[[G, S, Event, Meta], Iterable[Step]]


def on_any(events: Iterable[type[Event]], *, key: str) -> Callable[[Reaction[G, S]], Reaction[G, S]]:
    """The method that reacts to each of these events in the same way."""

    def mark(method: Reaction[G, S]) -> Reaction[G, S]:
        for event in events:
            on(event, key=key)(method)
        return method

    return mark


class WaitingState(msgspec.Struct):
    """Who waits is known to the waitlist, which there `exists` one of. Sales end at `closes_at`, as far as is known."""

    conference_id: UUID | None = None
    exists: bool = False
    closes_at: datetime | None = None


class Waiting(Saga[WaitingState], name="waitlist", mode=Mode.ASYNC, begins_after=0):
    """One instance a conference: lets those join who were refused, and has the next ones chosen when seats may have
    become free.

    It begins with the log: who was refused before there was a waitlist joins too, unless sales are over by now, or they
    have got the seats since. When sales end nobody waits any more.
    """

    state = WaitingState

    @on(SeatsRefused, key="conference_id", starts=True)
    def refused(self, state: WaitingState, event: SeatsRefused, meta: Meta) -> Iterator[Step]:
        if event.reason == SOLD_OUT:
            yield Send(
                JoinAfterRefusal(
                    waitlist_id=waitlist_id_of(event.conference_id),
                    conference_id=event.conference_id,
                    order_id=event.order_id,
                    lines=event.lines,
                )
            )

    @on(WaitlistJoined, key="conference_id", starts=True)
    def joined(self, state: WaitingState, event: WaitlistJoined, meta: Meta) -> Iterator[Step]:
        """Seats may have become free just before, and sales may have ended."""
        timed = state.exists and state.closes_at is not None
        state.conference_id, state.exists = event.conference_id, True
        state.closes_at = state.closes_at or event.closes_at
        yield self._choose(event.conference_id)
        if state.closes_at and not timed:
            yield At(state.closes_at, self._next(event.conference_id), name=SALES_TIMER)

    @on(SalesWindowChanged, key="conference_id", starts=True)
    def sales_moved(self, state: WaitingState, event: SalesWindowChanged, meta: Meta) -> Iterator[Step]:
        state.closes_at = event.closes_at
        if state.exists:
            yield self._choose(event.conference_id)
            yield Cancel(SALES_TIMER)
            yield At(event.closes_at, self._next(event.conference_id), name=SALES_TIMER)

    @on_any(MAY_FREE_SEATS, key="conference_id")
    def seats_may_be_free(self, state: WaitingState, event: Event, meta: Meta) -> Iterable[Step]:
        if state.exists and state.conference_id:
            yield self._choose(state.conference_id)

    @on(ConferenceCancelled, key="conference_id")
    def cancelled(self, state: WaitingState, event: ConferenceCancelled, meta: Meta) -> Iterator[Step]:
        if state.exists:
            yield Send(ClearWaitlist(waitlist_id=waitlist_id_of(event.conference_id)))

    @on(WaitlistLeft, key="conference_id")
    def left(self, state: WaitingState, event: WaitlistLeft, meta: Meta) -> Iterator[Step]:
        """Of many who are to wait no more, others may be left."""
        if event.reason in (Leaving.SALES_ENDED, Leaving.CONFERENCE_CANCELLED):
            yield self._choose(event.conference_id)

    def _choose(self, conference_id: UUID) -> Step:
        return Send(self._next(conference_id))

    def _next(self, conference_id: UUID) -> ChooseEntries:
        return ChooseEntries(waitlist_id=waitlist_id_of(conference_id))


class OfferState(msgspec.Struct):
    """Whose offer it is, and of which conference; `over` once it has ended."""

    conference_id: UUID | None = None
    entry_id: UUID | None = None
    seats_id: UUID | None = None
    over: bool = False


class Offering(Saga[OfferState], name="waitlist-offer", mode=Mode.ASYNC):
    """One instance an offer, by the id under which its seats are reserved: until it is accepted and they are ordered,
    or it ends otherwise and they are given back.
    """

    state = OfferState

    @on(WaitlistChosen, key="seats_id", starts=True)
    def chosen(self, state: OfferState, event: WaitlistChosen, meta: Meta) -> Iterator[Step]:
        state.conference_id, state.entry_id, state.seats_id = event.conference_id, event.entry_id, event.seats_id
        yield Send(
            ReserveSeats(
                conference_id=event.conference_id,
                order_id=event.seats_id,
                lines=event.lines,
                customer_id=event.customer_id,
                on_offer=True,
            )
        )

    @on(SeatsReserved, key="order_id")
    def reserved(self, state: OfferState, event: SeatsReserved, meta: Meta) -> Iterator[Step]:
        if state.entry_id and not state.over:
            yield Send(
                OfferSeats(
                    waitlist_id=waitlist_id_of(event.conference_id),
                    entry_id=state.entry_id,
                    seats_id=event.order_id,
                    until=meta.recorded_at + conf.offered_for(),
                )
            )

    @on(SeatsRefused, key="order_id")
    def seats_refused(self, state: OfferState, event: SeatsRefused, meta: Meta) -> Iterator[Step]:
        yield from self._miss(state)

    @on(WaitlistOffered, key="seats_id")
    def offered(self, state: OfferState, event: WaitlistOffered, meta: Meta) -> Iterator[Step]:
        lapses = LapseOffer(
            waitlist_id=waitlist_id_of(event.conference_id), entry_id=event.entry_id, seats_id=event.seats_id
        )
        yield At(event.until, lapses, name=OFFER_TIMER)

    @on(WaitlistAccepted, key="seats_id")
    def accepted(self, state: OfferState, event: WaitlistAccepted, meta: Meta) -> Iterator[Step]:
        """The seats stay reserved until those of the order are."""
        yield Cancel(OFFER_TIMER)
        yield Send(
            PlaceOrder(
                order_id=event.order_id,
                customer_id=event.customer_id,
                conference_id=event.conference_id,
                lines=event.lines,
            )
        )

    @on_any((WaitlistDeclined, WaitlistLapsed, WaitlistLeft), key="seats_id")
    def ended(self, state: OfferState, event: Event, meta: Meta) -> Iterable[Step]:
        state.over = True
        yield Cancel(OFFER_TIMER)
        yield from self._give_back(state)

    @on_refusal(OfferSeats)
    def not_offered(self, state: OfferState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """Sales had closed before."""
        yield from self._give_back(state)
        yield from self._miss(state)

    @on_refusal(PlaceOrder)
    def not_ordered(self, state: OfferState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """Sales had closed before."""
        yield from self._give_back(state)
        if state.conference_id and state.seats_id:
            yield Send(MissOrder(waitlist_id=waitlist_id_of(state.conference_id), seats_id=state.seats_id))

    @on_refusal(LapseOffer)
    def not_lapsed(self, state: OfferState, event: CommandRefused, meta: Meta) -> None:
        """It had ended otherwise just before: nothing is left to do."""

    def _give_back(self, state: OfferState) -> Iterator[Step]:
        if state.conference_id and state.seats_id:
            yield Send(ReleaseSeats(conference_id=state.conference_id, order_id=state.seats_id))

    def _miss(self, state: OfferState) -> Iterator[Step]:
        if state.conference_id and state.entry_id and state.seats_id:
            yield Send(
                MissSeats(
                    waitlist_id=waitlist_id_of(state.conference_id),
                    entry_id=state.entry_id,
                    seats_id=state.seats_id,
                )
            )
