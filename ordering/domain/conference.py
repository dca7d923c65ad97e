"""Conferences: their seats, what they cost, and who has them. No seat is ever given out twice."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from eventstore.aggregates import Aggregate, Facts, handles, on
from eventstore.events import Event
from ordering.domain.conference_changes import (
    MAIL_NOTE_LIMIT,
    AddPool,
    AssignPools,
    CallOffOrders,
    CancelConference,
    CancellationRuleChanged,
    ChangeCancellationRule,
    ChangeCapacity,
    ChangeMailNote,
    ChangePaymentTerms,
    ChangePool,
    ChangeProviders,
    ChangeSalesWindow,
    ChangeSeatType,
    CloseSales,
    ConferenceCancelled,
    ConferenceChange,
    ConferenceMoved,
    ConferenceRenamed,
    CustomerLimitChanged,
    Hold,
    HoldReleased,
    HoldSeats,
    LimitCustomers,
    MailNoteChanged,
    MoveConference,
    OrdersCalledOff,
    PaymentTermsChanged,
    Pool,
    PoolAdded,
    PoolCapacityChanged,
    PoolRenamed,
    PoolsAssigned,
    ProvidersChanged,
    ReleaseHold,
    RenameConference,
    ReopenSales,
    RepriceSeats,
    SalesClosed,
    SalesReopened,
    SalesWindowChanged,
    SeatCapacityChanged,
    SeatLimitChanged,
    SeatsHeld,
    SeatsRenamed,
    SeatsRepriced,
    time_zones,
)
from ordering.domain.errors import (
    CapacityInUse,
    ConferenceChanged,
    ConferenceIsCancelled,
    ConferenceNotCancelled,
    ConferenceNotOnSale,
    CustomerLimitReached,
    DuplicatePool,
    DuplicateSeatType,
    HoldTooSmall,
    InvalidCustomerLimit,
    InvalidPool,
    InvalidProviders,
    InvalidQuantity,
    InvalidSalesWindow,
    InvalidSeatType,
    MailNoteTooLong,
    MixedCurrencies,
    NameNeeded,
    NoSeatTypes,
    NotEnoughSeats,
    PaymentPeriodOver,
    PoolTooSmall,
    ProviderNotOffered,
    ReasonNeeded,
    SalesWindowOver,
    SeatTypeDiffers,
    TooFewSeats,
    TooManySeats,
    UnknownHold,
    UnknownPool,
    UnknownSeatType,
    UnknownTimeZone,
    UnpaidLimitReached,
)
from ordering.domain.scheduling import ConferenceScheduled, ScheduleConference
from ordering.domain.seats import (
    CANCELLED,
    CUSTOMER_LIMIT,
    NO_SEATS,
    OF_ORDERS,
    SOLD_OUT,
    UNPAID_LIMIT,
    AddSeats,
    ChangeSeats,
    Line,
    PricedLine,
    ReleaseSeats,
    ReserveSeats,
    SeatsAdded,
    SeatsChanged,
    SeatsChangeRefused,
    SeatsRefused,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
    SeatType,
    SellSeats,
    UnpaidLimit,
    at_least,
    difference,
    merged,
    offered_seats_id,
    total,
)
from ordering.domain.terms import AT_NO_COST, CancellationRule, PaymentTerms
from ordering.domain.text import check_line, check_text
from ordering.domain.values import Money

NEVER = datetime.max.replace(tzinfo=UTC)


class ConferenceSeats(Aggregate, category="conference", hot=True, snapshot_every=100):
    """Every seat of a conference is free, held, reserved for an order, or sold to one.

    An order has all the seats it asks for or none; what it has is remembered until it is released, and no longer. A
    seat takes a place in each pool that its type draws on.

    How many seats a customer has over all orders is counted here too, where seats are given out, so no two orders at
    once can get around the limit.
    """

    name: str
    starts_at: datetime
    time_zone: str
    place: str
    mail_note: str
    opens_at: datetime
    closes_at: datetime
    sales_closed: bool
    cancelled: bool
    payment_terms: PaymentTerms
    cancellation: CancellationRule
    terms_version: int
    seat_types: dict[str, SeatType]
    pools: dict[str, Pool]
    draws_on: dict[str, tuple[str, ...]]
    taken: dict[str, int]
    holds: dict[UUID, Hold]
    reserved: dict[UUID, tuple[Line, ...]]
    sold: dict[UUID, tuple[Line, ...]]
    called_off: set[UUID]
    on_offer: set[UUID]
    providers: tuple[str, ...]
    max_per_customer: int | None
    buyers: dict[UUID, UUID]
    orders_of_buyers: dict[UUID, list[UUID]]
    seats_of_buyers: dict[UUID, int]

    def __init__(self, stream_id: UUID) -> None:
        super().__init__(stream_id)
        self.name, self.starts_at, self.time_zone, self.place = "", NEVER, "UTC", ""
        self.mail_note = ""
        self.opens_at, self.closes_at = NEVER, NEVER
        self.sales_closed, self.cancelled = False, False
        self.payment_terms = PaymentTerms()
        self.cancellation = CancellationRule()
        self.terms_version = 0
        self.seat_types = {}
        self.pools = {}
        self.draws_on = {}
        self.taken = {}
        self.holds = {}
        self.reserved = {}
        self.sold = {}
        self.called_off = set()
        self.on_offer = set()
        self.providers = ()
        self.max_per_customer = None
        self.buyers, self.orders_of_buyers, self.seats_of_buyers = {}, {}, {}

    def on_sale(self, now: datetime) -> bool:
        """Whether seats can be ordered at this time."""
        return self.opens_at <= now < self.closes_at and not self.sales_closed and not self.cancelled

    def offer(self, lines: Iterable[Line], now: datetime) -> tuple[PricedLine, ...]:
        """What an order of these lines would cost now, free seats or not, with one line for each seat type.

        Raises `ConferenceNotOnSale`, `InvalidQuantity`, `UnknownSeatType`, `TooManySeats`, `TooFewSeats`.
        """
        if not self.on_sale(now):
            raise ConferenceNotOnSale
        offered = self._priced(merged(lines), {})
        self._check_bounds(offered)
        return offered

    def offer_instead(
        self, lines: Iterable[Line], before: tuple[PricedLine, ...], prices: Mapping[str, Money], now: datetime
    ) -> tuple[PricedLine, ...]:
        """What an order costs that has these lines instead of those `before`, free seats or not, at the prices that it
        has. The bounds of a type matter only where its quantity changes. Raises what `offer` does; seats are given up
        whether or not the conference is on sale.
        """
        wanted = self._priced(merged(lines), prices)
        changes = difference(before, wanted)
        if any(change.quantity > 0 for change in changes) and not self.on_sale(now):
            raise ConferenceNotOnSale
        changed = {change.seat_type for change in changes}
        self._check_bounds(line for line in wanted if line.seat_type in changed)
        return wanted

    def check_change(
        self,
        customer_id: UUID,
        before: Iterable[Line | PricedLine],
        lines: Iterable[Line | PricedLine],
        kept: Iterable[Line | PricedLine],
    ) -> None:
        """Raises `NotEnoughSeats` or `CustomerLimitReached` where an order of this customer can't have these lines
        instead of the seats `before`, or those that it keeps meanwhile beside them.
        """
        before, lines = tuple(before), tuple(lines)
        changes = difference(before, at_least(kept, lines))
        if not self.has_room(changes):
            more = [change for change in changes if change.quantity > 0]
            figures = (
                f"{self.seat_types[each.seat_type].name}: {each.quantity} more, {self.available(each.seat_type)} free."
                for each in more
            )
            raise NotEnoughSeats(" ".join(["So many seats are not free.", *figures]))
        if _quantity(more_or_less := difference(before, lines)) > 0:
            self.check_customer_limit(customer_id, more_or_less)

    def check_customer_limit(self, customer_id: UUID, lines: Iterable[Line | PricedLine]) -> None:
        """Raises `CustomerLimitReached` where this customer may not have these seats as well."""
        if not self._may_have(customer_id, lines):
            most = self.max_per_customer
            raise CustomerLimitReached(f"One customer may have at most {most} seats of this conference.")

    def check_unpaid_limit(self, customer_id: UUID, lines: Iterable[Line], limit: UnpaidLimit) -> None:
        """Raises `UnpaidLimitReached` where a new order of these lines would be one too many that this customer has not
        paid, and what `offer` does of lines that can't be ordered.
        """
        priced = self._priced(merged(lines), {})
        if total(priced).amount and self._is_beyond(limit, customer_id, priced):
            raise UnpaidLimitReached

    def check_unpaid_change(self, order_id: UUID, lines: Iterable[Line | PricedLine], limit: UnpaidLimit) -> None:
        """Raises `UnpaidLimitReached` where an order that isn't paid may not have these lines instead of its own."""
        if self._change_is_beyond(limit, order_id, tuple(lines)):
            raise UnpaidLimitReached

    def refusal(
        self, customer_id: UUID | None, lines: tuple[PricedLine, ...], limit: UnpaidLimit | None = None
    ) -> str | None:
        """Why a new order of these lines gets no seats, if it doesn't: the reason of `SeatsRefused`."""
        if (reason := self._refusal(lines, customer_id)) is not None:
            return reason
        if customer_id and total(lines).amount and self._is_beyond(limit, customer_id, lines):
            return UNPAID_LIMIT
        return None

    def provider_for(self, wanted: str) -> str:
        """Who collects the money of an order that names this payment provider, or, if it is empty, none; empty for that
        of the site. Raises `ProviderNotOffered`.
        """
        if not self.providers:
            return wanted
        if wanted and wanted not in self.providers:
            raise not_offered(self.providers)
        return wanted or self.providers[0]

    def to_be_paid_by(self, since: datetime) -> datetime:
        """Until when an order is to be paid that begins to wait for its payment at this time. Raises
        `PaymentPeriodOver`.
        """
        deadline = self.payment_terms.deadline(since, self.time_zone)
        if deadline <= since:
            raise PaymentPeriodOver
        return deadline

    def cancellation_of_orders(self) -> CancellationRule:
        """The rule that holds now: nobody pays for giving up seats of a conference that is cancelled itself."""
        return AT_NO_COST if self.cancelled else self.cancellation

    def has_room(self, lines: Iterable[Line | PricedLine]) -> bool:
        """Whether all of these seats are free at once, in their types and in each of their pools."""
        drawn: Counter[str] = Counter()
        for line in lines:
            if line.quantity > self._room_of(line.seat_type):
                return False
            for pool in self.draws_on.get(line.seat_type, ()):
                drawn[pool] += line.quantity
        return all(quantity <= self._room_in(pool) for pool, quantity in drawn.items())

    def available(self, code: str) -> int:
        """How many seats of a type are free, and have room in its pools. Raises `UnknownSeatType`."""
        return min([self._room_of(code), *(self._room_in(pool) for pool in self.draws_on.get(code, ()))])

    def held_by(self, order_id: UUID) -> tuple[Line, ...]:
        """The seats of an order, or of an offer: reserved or sold."""
        return self.reserved.get(order_id) or self.sold.get(order_id) or ()

    def seats_of(self, customers: Collection[UUID]) -> dict[UUID, tuple[Line, ...]]:
        """The seats of all orders and offers of each of these customers, with one line for each seat type."""
        lines = {
            customer_id: [
                line for order_id in self.orders_of_buyers.get(customer_id, ()) for line in self.held_by(order_id)
            ]
            for customer_id in customers
        }
        return {customer_id: merged(owned) if owned else () for customer_id, owned in lines.items()}

    def orders_without_a_name(self) -> Iterator[UUID]:
        """Those whose seats were reserved when no customer was named, and count for nobody."""
        return (order_id for order_id in (*self.reserved, *self.sold) if order_id not in self.buyers)

    @handles(ScheduleConference, creates=True)
    def schedule(self, command: ScheduleConference, facts: Facts) -> None:
        _check_name(command.name)
        _check_sales_window(command.opens_at, command.closes_at, command.starts_at)
        _check_time_zone(command.time_zone)
        if not command.seat_types:
            raise NoSeatTypes
        if len({seat_type.code for seat_type in command.seat_types}) < len(command.seat_types):
            raise DuplicateSeatType
        self.record(
            ConferenceScheduled(
                conference_id=self.id,
                name=command.name,
                starts_at=command.starts_at,
                opens_at=command.opens_at,
                closes_at=command.closes_at,
                time_zone=command.time_zone,
                place=command.place,
            )
        )
        for seat_type in command.seat_types:
            self._add(seat_type)

    @handles(RenameConference)
    def rename(self, command: RenameConference, facts: Facts) -> None:
        self._check(command)
        _check_name(command.name)
        if command.name != self.name:
            self.record(ConferenceRenamed(conference_id=self.id, name=command.name))

    @handles(MoveConference)
    def move(self, command: MoveConference, facts: Facts) -> None:
        self._check(command)
        _check_time_zone(command.time_zone)
        _check_sales_window(self.opens_at, self.closes_at, command.starts_at)
        wanted = (command.starts_at, command.time_zone, command.place)
        if wanted != (self.starts_at, self.time_zone, self.place):
            starts_at, time_zone, place = wanted
            self.record(ConferenceMoved(conference_id=self.id, starts_at=starts_at, time_zone=time_zone, place=place))

    @handles(ChangeSalesWindow)
    def change_sales_window(self, command: ChangeSalesWindow, facts: Facts) -> None:
        self._check(command)
        _check_sales_window(command.opens_at, command.closes_at, self.starts_at)
        if (command.opens_at, command.closes_at) != (self.opens_at, self.closes_at):
            self.record(
                SalesWindowChanged(conference_id=self.id, opens_at=command.opens_at, closes_at=command.closes_at)
            )

    @handles(CloseSales)
    def close_sales(self, command: CloseSales, facts: Facts) -> None:
        self._check(command)
        check_reason(command.reason)
        if not self.sales_closed:
            self.record(SalesClosed(conference_id=self.id, reason=command.reason))

    @handles(ReopenSales)
    def reopen_sales(self, command: ReopenSales, facts: Facts) -> None:
        self._check(command)
        if not self.sales_closed:
            return
        if facts.now >= self.closes_at:
            raise SalesWindowOver
        self.record(SalesReopened(conference_id=self.id))

    @handles(ChangeMailNote)
    def change_mail_note(self, command: ChangeMailNote, facts: Facts) -> None:
        self._check(command)
        note = command.note.strip()
        if len(note) > MAIL_NOTE_LIMIT:
            raise MailNoteTooLong
        check_text(note)
        if note != self.mail_note:
            self.record(MailNoteChanged(conference_id=self.id, note=note))

    @handles(CancelConference)
    def cancel(self, command: CancelConference, facts: Facts) -> None:
        if self.cancelled:
            return
        self._check(command)
        check_reason(command.reason)
        self.record(ConferenceCancelled(conference_id=self.id, reason=command.reason))

    @handles(CallOffOrders)
    def call_off_orders(self, command: CallOffOrders, facts: Facts) -> None:
        if not self.cancelled:
            raise ConferenceNotCancelled
        no_orders = self.called_off | self.on_offer
        waiting = [order_id for order_id in (*self.sold, *self.reserved) if order_id not in no_orders]
        if called_off := tuple(waiting[: command.most]):
            left = len(waiting) - len(called_off)
            self.record(OrdersCalledOff(conference_id=self.id, order_ids=called_off, left=left))

    @handles(ChangePaymentTerms)
    def change_payment_terms(self, command: ChangePaymentTerms, facts: Facts) -> None:
        self._check(command)
        command.terms.check()
        if command.terms != self.payment_terms:
            self.record(PaymentTermsChanged(conference_id=self.id, terms=command.terms))

    @handles(ChangeCancellationRule)
    def change_cancellation_rule(self, command: ChangeCancellationRule, facts: Facts) -> None:
        self._check(command)
        command.rule.check(next(iter(self.seat_types.values())).price.currency)
        if command.rule != self.cancellation:
            self.record(CancellationRuleChanged(conference_id=self.id, rule=command.rule))

    @handles(AddSeats)
    def add_seats(self, command: AddSeats, facts: Facts) -> None:
        self._check(command)
        self._add(command.seat_type)

    @handles(RepriceSeats)
    def reprice(self, command: RepriceSeats, facts: Facts) -> None:
        self._check(command)
        known = self._seat_type(command.seat_type)
        if command.price.amount < 0:
            raise InvalidSeatType
        if command.price.currency != known.price.currency:
            raise MixedCurrencies
        if command.price != known.price:
            command.price.check()
            self.record(SeatsRepriced(conference_id=self.id, seat_type=known.code, price=command.price))

    @handles(ChangeSeatType)
    def change_seat_type(self, command: ChangeSeatType, facts: Facts) -> None:
        self._check(command)
        known = self._seat_type(command.seat_type)
        _check_name(command.name)
        if not 1 <= command.min_per_order <= command.max_per_order:
            raise InvalidSeatType
        if command.name != known.name:
            self.record(SeatsRenamed(conference_id=self.id, seat_type=known.code, name=command.name))
        limits = (command.max_per_order, command.min_per_order)
        if limits != (known.max_per_order, known.min_per_order):
            most, least = limits
            self.record(
                SeatLimitChanged(conference_id=self.id, seat_type=known.code, max_per_order=most, min_per_order=least)
            )

    @handles(LimitCustomers)
    def limit_customers(self, command: LimitCustomers, facts: Facts) -> None:
        self._check(command)
        if command.max_per_customer is not None and command.max_per_customer < 1:
            raise InvalidCustomerLimit
        if command.max_per_customer != self.max_per_customer:
            self.record(CustomerLimitChanged(conference_id=self.id, max_per_customer=command.max_per_customer))

    @handles(ChangeProviders)
    def change_providers(self, command: ChangeProviders, facts: Facts) -> None:
        self._check(command)
        if len(set(command.providers)) < len(command.providers) or not all(command.providers):
            raise InvalidProviders
        if command.providers != self.providers:
            self.record(ProvidersChanged(conference_id=self.id, providers=command.providers))

    @handles(ChangeCapacity)
    def change_capacity(self, command: ChangeCapacity, facts: Facts) -> None:
        self._check(command)
        known = self._seat_type(command.seat_type)
        if command.capacity == known.capacity:
            return
        if command.capacity < known.capacity:
            check_reason(command.reason)
            self._check_in_use(known.name, command.capacity, {known.code})
        self.record(
            SeatCapacityChanged(
                conference_id=self.id, seat_type=known.code, capacity=command.capacity, reason=command.reason
            )
        )

    @handles(AddPool)
    def add_pool(self, command: AddPool, facts: Facts) -> None:
        self._check(command)
        added = command.pool
        _check_name(added.name)
        if not added.code or added.capacity < 1:
            raise InvalidPool
        if added.code in self.pools:
            raise DuplicatePool
        self.record(PoolAdded(conference_id=self.id, pool=added))

    @handles(ChangePool)
    def change_pool(self, command: ChangePool, facts: Facts) -> None:
        self._check(command)
        known = self._pool(command.pool)
        _check_name(command.name)
        if command.capacity < known.capacity:
            check_reason(command.reason)
            self._check_in_use(known.name, command.capacity, self._drawing_on(known.code))
        if command.name != known.name:
            self.record(PoolRenamed(conference_id=self.id, pool=known.code, name=command.name))
        if command.capacity != known.capacity:
            self.record(
                PoolCapacityChanged(
                    conference_id=self.id, pool=known.code, capacity=command.capacity, reason=command.reason
                )
            )

    @handles(AssignPools)
    def assign_pools(self, command: AssignPools, facts: Facts) -> None:
        self._check(command)
        known = self._seat_type(command.seat_type)
        before, wanted = set(self.draws_on.get(known.code, ())), set(command.pools)
        for pool in sorted(wanted - before):
            taken, room = self.taken[known.code], self._room_in(pool)
            if taken > room:
                raise PoolTooSmall(
                    f"{taken} of {known.name} are taken, and {self.pools[pool].name} has room for {room}."
                )
        if wanted != before:
            self.record(PoolsAssigned(conference_id=self.id, seat_type=known.code, pools=tuple(sorted(wanted))))

    @handles(HoldSeats)
    def hold_seats(self, command: HoldSeats, facts: Facts) -> None:
        self._check(command)
        if command.hold_id in self.holds:
            return
        _check_name(command.label)
        check_reason(command.reason)
        if command.quantity < 1:
            raise InvalidQuantity
        free = self.available(command.seat_type)
        if command.quantity > free:
            raise NotEnoughSeats(f"Of {self.seat_types[command.seat_type].name} {free} are free.")
        self.record(
            SeatsHeld(
                conference_id=self.id,
                hold_id=command.hold_id,
                seat_type=command.seat_type,
                quantity=command.quantity,
                label=command.label,
                reason=command.reason,
            )
        )

    @handles(ReleaseHold)
    def release_hold(self, command: ReleaseHold, facts: Facts) -> None:
        self._check(command)
        hold = self.holds.get(command.hold_id)
        if hold is None:
            raise UnknownHold
        if command.quantity < 1:
            raise InvalidQuantity
        if command.quantity > hold.quantity:
            raise HoldTooSmall(f"{hold.label} has {hold.quantity} seats.")
        self.record(
            HoldReleased(
                conference_id=self.id,
                hold_id=command.hold_id,
                seat_type=hold.seat_type,
                quantity=command.quantity,
            )
        )

    @handles(ReserveSeats)
    def reserve_seats(self, command: ReserveSeats, facts: Facts) -> None:
        if self.held_by(command.order_id):
            return
        was_offered = bool(self.held_by(offered_seats_id(command.order_id)))
        self._release(offered_seats_id(command.order_id))
        lines = merged(command.lines)
        priced = self._priced(lines, command.prices)
        reason = self.refusal(command.customer_id, priced, None if was_offered else command.unpaid)
        if reason is not None:
            self.record(SeatsRefused(conference_id=self.id, order_id=command.order_id, lines=lines, reason=reason))
        else:
            self.record(
                SeatsReserved(
                    conference_id=self.id,
                    order_id=command.order_id,
                    lines=priced,
                    total=total(priced),
                    customer_id=command.customer_id,
                    on_offer=command.on_offer,
                )
            )

    @handles(ChangeSeats)
    def change_seats(self, command: ChangeSeats, facts: Facts) -> None:
        before, lines = self.held_by(command.order_id), merged(command.lines)
        seats = at_least(command.kept, lines)
        reason = self._refusal_of_change(command, before, lines, seats)
        told: dict[str, Any] = {"order_id": command.order_id, "change": command.change, "lines": seats}
        if reason is not None:
            self.record(SeatsChangeRefused(conference_id=self.id, reason=reason, **told))
        else:
            self.record(SeatsChanged(conference_id=self.id, before=before, **told))

    @handles(ReleaseSeats)
    def release_seats(self, command: ReleaseSeats, facts: Facts) -> None:
        self._release(command.order_id)

    @handles(SellSeats)
    def sell_seats(self, command: SellSeats, facts: Facts) -> None:
        if lines := self.reserved.get(command.order_id):
            self.record(SeatsSold(conference_id=self.id, order_id=command.order_id, lines=lines))

    def evolve(self, event: Event) -> None:
        """Fold one event into the state. Whatever is not about an order is a change of the terms."""
        super().evolve(event)
        if not isinstance(event, OF_ORDERS):
            self.terms_version = self.version

    @on(ConferenceScheduled)
    def _scheduled(self, event: ConferenceScheduled) -> None:
        self.name = event.name
        self.starts_at, self.time_zone, self.place = event.starts_at, event.time_zone, event.place
        self.opens_at, self.closes_at = event.opens_at, event.closes_at

    @on(ConferenceRenamed)
    def _renamed(self, event: ConferenceRenamed) -> None:
        self.name = event.name

    @on(ConferenceMoved)
    def _moved(self, event: ConferenceMoved) -> None:
        self.starts_at, self.time_zone, self.place = event.starts_at, event.time_zone, event.place

    @on(SalesWindowChanged)
    def _sales_window_changed(self, event: SalesWindowChanged) -> None:
        self.opens_at, self.closes_at = event.opens_at, event.closes_at

    @on(SalesClosed)
    def _sales_closed(self, event: SalesClosed) -> None:
        self.sales_closed = True

    @on(SalesReopened)
    def _sales_reopened(self, event: SalesReopened) -> None:
        self.sales_closed = False

    @on(MailNoteChanged)
    def _mail_note_changed(self, event: MailNoteChanged) -> None:
        self.mail_note = event.note

    @on(ConferenceCancelled)
    def _cancelled(self, event: ConferenceCancelled) -> None:
        self.cancelled = True

    @on(PaymentTermsChanged)
    def _payment_terms_changed(self, event: PaymentTermsChanged) -> None:
        self.payment_terms = event.terms

    @on(CancellationRuleChanged)
    def _cancellation_rule_changed(self, event: CancellationRuleChanged) -> None:
        self.cancellation = event.rule

    @on(SeatsAdded)
    def _added(self, event: SeatsAdded) -> None:
        added = event.seat_type
        known = self.seat_types.get(added.code)
        capacity = added.capacity + (known.capacity if known else 0)
        self.seat_types[added.code] = msgspec.structs.replace(added, capacity=capacity)
        self.taken.setdefault(added.code, 0)

    @on(SeatsRepriced)
    def _repriced(self, event: SeatsRepriced) -> None:
        self._change_type(event.seat_type, price=event.price)

    @on(SeatsRenamed)
    def _seats_renamed(self, event: SeatsRenamed) -> None:
        self._change_type(event.seat_type, name=event.name)

    @on(SeatLimitChanged)
    def _limit_changed(self, event: SeatLimitChanged) -> None:
        self._change_type(event.seat_type, max_per_order=event.max_per_order, min_per_order=event.min_per_order)

    @on(CustomerLimitChanged)
    def _customer_limit_changed(self, event: CustomerLimitChanged) -> None:
        self.max_per_customer = event.max_per_customer

    @on(ProvidersChanged)
    def _providers_changed(self, event: ProvidersChanged) -> None:
        self.providers = event.providers

    @on(SeatCapacityChanged)
    def _capacity_changed(self, event: SeatCapacityChanged) -> None:
        self._change_type(event.seat_type, capacity=event.capacity)

    @on(PoolAdded)
    def _pool_added(self, event: PoolAdded) -> None:
        self.pools[event.pool.code] = event.pool

    @on(PoolRenamed)
    def _pool_renamed(self, event: PoolRenamed) -> None:
        self._change_pool(event.pool, name=event.name)

    @on(PoolCapacityChanged)
    def _pool_capacity_changed(self, event: PoolCapacityChanged) -> None:
        self._change_pool(event.pool, capacity=event.capacity)

    @on(PoolsAssigned)
    def _pools_assigned(self, event: PoolsAssigned) -> None:
        self.draws_on[event.seat_type] = event.pools

    @on(SeatsHeld)
    def _held(self, event: SeatsHeld) -> None:
        self.holds[event.hold_id] = Hold(event.seat_type, event.quantity, event.label)
        self.taken[event.seat_type] += event.quantity

    @on(HoldReleased)
    def _hold_released(self, event: HoldReleased) -> None:
        hold = self.holds.pop(event.hold_id)
        if event.quantity < hold.quantity:
            left = hold.quantity - event.quantity
            self.holds[event.hold_id] = msgspec.structs.replace(hold, quantity=left)
        self.taken[event.seat_type] -= event.quantity

    @on(OrdersCalledOff)
    def _called_off(self, event: OrdersCalledOff) -> None:
        self.called_off.update(event.order_ids)

    @on(SeatsReserved)
    def _reserved(self, event: SeatsReserved) -> None:
        self.reserved[event.order_id] = tuple(Line(line.seat_type, line.quantity) for line in event.lines)
        for line in event.lines:
            self.taken[line.seat_type] += line.quantity
        if event.customer_id is not None:
            self.buyers[event.order_id] = event.customer_id
            self.orders_of_buyers.setdefault(event.customer_id, []).append(event.order_id)
            self._count(event.customer_id, _quantity(event.lines))
        if event.on_offer:
            self.on_offer.add(event.order_id)

    @on(SeatsRefused)
    def _refused(self, event: SeatsRefused) -> None:
        """Nothing was given out."""

    @on(SeatsChanged)
    def _seats_changed(self, event: SeatsChanged) -> None:
        (self.reserved if event.order_id in self.reserved else self.sold)[event.order_id] = event.lines
        for line in difference(event.before, event.lines):
            self.taken[line.seat_type] += line.quantity
        if customer_id := self.buyers.get(event.order_id):
            self._count(customer_id, _quantity(event.lines) - _quantity(event.before))

    @on(SeatsChangeRefused)
    def _change_refused(self, event: SeatsChangeRefused) -> None:
        """The order has what it had."""

    @on(SeatsReleased)
    def _released(self, event: SeatsReleased) -> None:
        self.reserved.pop(event.order_id, None)
        self.sold.pop(event.order_id, None)
        self.on_offer.discard(event.order_id)
        for line in event.lines:
            self.taken[line.seat_type] -= line.quantity
        if customer_id := self.buyers.pop(event.order_id, None):
            self.orders_of_buyers[customer_id].remove(event.order_id)
            if not self.orders_of_buyers[customer_id]:
                del self.orders_of_buyers[customer_id]
            self._count(customer_id, -_quantity(event.lines))

    @on(SeatsSold)
    def _sold(self, event: SeatsSold) -> None:
        self.sold[event.order_id] = self.reserved.pop(event.order_id)

    def _release(self, order_id: UUID) -> None:
        if lines := self.held_by(order_id):
            self.record(SeatsReleased(conference_id=self.id, order_id=order_id, lines=lines))

    def _add(self, added: SeatType) -> None:
        if not added.code or added.capacity < 1 or added.price.amount < 0:
            raise InvalidSeatType
        if not 1 <= added.min_per_order <= added.max_per_order:
            raise InvalidSeatType
        if any(other.price.currency != added.price.currency for other in self.seat_types.values()):
            raise MixedCurrencies
        known = self.seat_types.get(added.code)
        if known and msgspec.structs.replace(known, capacity=added.capacity) != added:
            raise SeatTypeDiffers
        if not known:
            added.price.check()
        self.record(SeatsAdded(conference_id=self.id, seat_type=added))

    def _refusal(self, lines: Iterable[Line | PricedLine], customer_id: UUID | None) -> str | None:
        """Why these seats can't be had, if they can't."""
        if self.cancelled:
            return CANCELLED
        if not self.has_room(lines):
            return SOLD_OUT
        if customer_id is not None and not self._may_have(customer_id, lines):
            return CUSTOMER_LIMIT
        return None

    def _refusal_of_change(
        self, command: ChangeSeats, before: tuple[Line, ...], lines: tuple[Line, ...], seats: tuple[Line, ...]
    ) -> str | None:
        """What is kept meanwhile needs room, and doesn't count as more seats of the customer's."""
        if not before:
            return NO_SEATS
        more = difference(before, lines)
        buyer = self.buyers.get(command.order_id)
        if (reason := self._refusal(difference(before, seats), None)) is not None:
            return reason
        if buyer is None or _quantity(more) <= 0:
            return None
        if not self._may_have(buyer, more):
            return CUSTOMER_LIMIT
        return UNPAID_LIMIT if self._change_is_beyond(command.unpaid, command.order_id, lines) else None

    def _check_bounds(self, lines: Iterable[PricedLine]) -> None:
        for line in lines:
            known = self.seat_types[line.seat_type]
            if line.quantity > known.max_per_order:
                most = known.max_per_order
                raise TooManySeats(f"One order may have at most {most} seats of the type {line.seat_type!r}.")
            if line.quantity < known.min_per_order:
                least = known.min_per_order
                raise TooFewSeats(f"One order has at least {least} seats of the type {line.seat_type!r}, or none.")

    def _may_have(self, customer_id: UUID, lines: Iterable[Line | PricedLine]) -> bool:
        if self.max_per_customer is None:
            return True
        return self.seats_of_buyers.get(customer_id, 0) + _quantity(lines) <= self.max_per_customer

    def _is_beyond(
        self,
        limit: UnpaidLimit | None,
        customer_id: UUID,
        lines: Iterable[Line | PricedLine],
        order_id: UUID | None = None,
    ) -> bool:
        """Whether this order, or a new one, of these lines would be too much beside what else the customer has not
        paid. Alone it never is: how large one order may be, its seat types say.
        """
        if limit is None or not (limit.orders or limit.seats):
            return False
        others = [
            self.reserved[other]
            for other in self.orders_of_buyers.get(customer_id, ())
            if other in self.reserved and other != order_id and other not in self.on_offer
        ]
        if not others:
            return False
        seats = _quantity(lines) + sum(_quantity(other) for other in others)
        too_many = order_id is None and 0 < limit.orders <= len(others)
        return too_many or 0 < limit.seats < seats

    def _change_is_beyond(
        self, limit: UnpaidLimit | None, order_id: UUID, lines: tuple[Line | PricedLine, ...]
    ) -> bool:
        """The same of an order that has seats, isn't paid, and would have more of them with these lines."""
        buyer, seats = self.buyers.get(order_id), self.reserved.get(order_id, ())
        if buyer is None or not seats or _quantity(difference(seats, lines)) <= 0:
            return False
        return self._is_beyond(limit, buyer, lines, order_id)

    def _count(self, customer_id: UUID, seats: int) -> None:
        """Who has none is not remembered."""
        counted = self.seats_of_buyers.pop(customer_id, 0) + seats
        if counted:
            self.seats_of_buyers[customer_id] = counted

    def _priced(self, lines: Iterable[Line], prices: Mapping[str, Money]) -> tuple[PricedLine, ...]:
        """At these prices; a type that is not among them costs what it costs now."""
        return tuple(
            PricedLine(
                line.seat_type,
                line.quantity,
                prices.get(line.seat_type, self._seat_type(line.seat_type).price),
            )
            for line in lines
        )

    def _check(self, command: ConferenceChange) -> None:
        if self.cancelled:
            raise ConferenceIsCancelled
        if command.seen not in (None, self.terms_version):
            raise ConferenceChanged

    def _check_in_use(self, name: str, capacity: int, seat_types: Collection[str]) -> None:
        if capacity >= sum(self.taken[code] for code in seat_types):
            return
        sold, reserved = (_seats_of(orders, seat_types) for orders in (self.sold, self.reserved))
        held = sum(hold.quantity for hold in self.holds.values() if hold.seat_type in seat_types)
        raise CapacityInUse(
            f"Of {name} {sold} are sold, {reserved} reserved and {held} held: {capacity} are not enough."
        )

    def _room_of(self, seat_type: str) -> int:
        return self._seat_type(seat_type).capacity - self.taken[seat_type]

    def _room_in(self, pool: str) -> int:
        return self._pool(pool).capacity - sum(self.taken[code] for code in self._drawing_on(pool))

    def _drawing_on(self, pool: str) -> set[str]:
        return {seat_type for seat_type, pools in self.draws_on.items() if pool in pools}

    def _change_type(self, code: str, **changes: Any) -> None:
        self.seat_types[code] = msgspec.structs.replace(self.seat_types[code], **changes)

    def _change_pool(self, code: str, **changes: Any) -> None:
        self.pools[code] = msgspec.structs.replace(self.pools[code], **changes)

    def _pool(self, code: str) -> Pool:
        try:
            return self.pools[code]
        except KeyError:
            raise UnknownPool(f"The conference has no pool {code!r}.") from None

    def _seat_type(self, code: str) -> SeatType:
        try:
            return self.seat_types[code]
        except KeyError:
            raise UnknownSeatType(f"The conference has no seats of the type {code!r}.") from None


def _check_sales_window(opens_at: datetime, closes_at: datetime, starts_at: datetime) -> None:
    if not opens_at < closes_at <= starts_at:
        raise InvalidSalesWindow


def _check_time_zone(name: str) -> None:
    if name not in time_zones():
        raise UnknownTimeZone


def _check_name(name: str) -> None:
    if not name.strip():
        raise NameNeeded
    check_line(name)


def not_offered(offered: Iterable[str]) -> ProviderNotOffered:
    """The refusal of a payment provider, which says which ones there are instead."""
    return ProviderNotOffered(f"Orders of this conference are paid by one of: {', '.join(offered)}.")


def check_reason(reason: str) -> None:
    """Raises `ReasonNeeded`, `UnreadableText`."""
    if not reason.strip():
        raise ReasonNeeded
    check_text(reason)


def _seats_of(orders: Mapping[UUID, tuple[Line, ...]], seat_types: Collection[str]) -> int:
    return sum(line.quantity for lines in orders.values() for line in lines if line.seat_type in seat_types)


def _quantity(lines: Iterable[Line | PricedLine]) -> int:
    return sum(line.quantity for line in lines)
