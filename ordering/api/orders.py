"""Orders: placing, reading, cancelling, and their history."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import count, takewhile
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import repository, store
from eventstore.codec import Recorded
from eventstore.commands import Receipt, chain_position
from eventstore.errors import StreamExists, StreamNotFound
from eventstore.preview import Preview
from ordering import conf
from ordering.api import log_reads, min_position
from ordering.api.deprecation import Deprecation
from ordering.api.dry_run import WouldRecordShape
from ordering.api.pagination import page, page_of_stream
from ordering.api.refusals import refuses
from ordering.api.serializers import (
    AsOf,
    ChosenId,
    Count,
    Identifier,
    Lines,
    MoneyShape,
    PageQuery,
    PendingShape,
    Shape,
    Text,
    shaped,
)
from ordering.api.views import View, etag_of
from ordering.domain.conference import ConferenceSeats, not_offered
from ordering.domain.errors import (
    AmountTooLarge,
    CancellationClosed,
    ChangeUnderWay,
    ConferenceIsCancelled,
    ConferenceNotFound,
    ConferenceNotOnSale,
    CustomerLimitReached,
    CustomerNotFound,
    MixedCurrencies,
    NotEnoughSeats,
    OrderNotCancellable,
    OrderNotChangeable,
    OrderNotPayable,
    PaymentPeriodOver,
    ProviderNotOffered,
    QuantitiesUnchanged,
    StatusMailTooSoon,
    TooFewSeats,
    TooManySeats,
    UnknownSeatType,
    UnpaidLimitReached,
)
from ordering.domain.finance import account_id_of
from ordering.domain.order import (
    CancelOrder,
    ChooseProvider,
    Order,
    OrderCancelled,
    OrderPlaced,
    PlaceOrder,
    RequestStatusMail,
    cancellation_fee,
)
from ordering.domain.order_changes import ChangeQuantities, QuantityChangeRefused, QuantityChangeRequested
from ordering.domain.payment import Payment, further_payment_id
from ordering.domain.payment import Status as PaymentStatus
from ordering.domain.seats import CANCELLED, CUSTOMER_LIMIT, SOLD_OUT, UNPAID_LIMIT, Line, PricedLine
from ordering.domain.terms import BEGINNING
from ordering.domain.values import Money, payment_id_of
from ordering.models import ConferenceSummary, OrderSummary
from ordering.projections.conference import SeatAvailability
from ordering.projections.order import OPEN, OrderSummaries
from ordering.providers import paying, registry
from ordering.providers.provider import Instructions, Provider

SUMMARIES = OrderSummaries()
MOST_LINES = 50
PAYMENT_STATUSES = [each.value for each in PaymentStatus]
REFUND_STATUSES = ["requested", "settled", "failed", "closed"]
PAYABLE = {"requested", "declined"}

REFUSALS = {
    SOLD_OUT: NotEnoughSeats,
    CANCELLED: ConferenceIsCancelled,
    CUSTOMER_LIMIT: CustomerLimitReached,
    UNPAID_LIMIT: UnpaidLimitReached,
}
"""What a change of an order is refused with, by the reason that the conference gave."""


NOT_OFFERED = (
    AmountTooLarge,
    ConferenceNotOnSale,
    MixedCurrencies,
    PaymentPeriodOver,
    ProviderNotOffered,
    TooFewSeats,
    TooManySeats,
    UnknownSeatType,
)
"""What is refused of seats that can't be ordered, whether or not they are free."""


class NotReachable(APIException):
    status_code = 503
    default_code = paying.ProviderUnavailable.code
    default_detail = paying.ProviderUnavailable.__doc__


class LineShape(Shape):
    seat_type = Text(max_length=64, help_text="the code of a seat type")
    quantity = Count(min_value=1, max_value=1000)


class ProviderName(Text):
    """The name of a payment provider that is installed."""

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if name not in (there := registry.installed()):
            raise ValidationError(f"One of: {', '.join(there)}.", "unknown-provider")
        return name


class PlaceShape(Shape):
    id = ChosenId(required=False)
    customer_id = Identifier()
    conference_id = Identifier()
    lines: Any = LineShape(many=True, allow_empty=False, max_length=MOST_LINES)  # type: ignore[call-arg]  # many=True makes a list
    provider = ProviderName(required=False, help_text="by which it is paid, of those that the conference has")


class PayShape(Shape):
    provider = ProviderName(required=False, help_text="by which to pay, if not by that of the order")


class QuantitiesShape(Shape):
    lines: Any = LineShape(  # type: ignore[call-arg]  # many=True makes a list
        many=True,
        allow_empty=False,
        max_length=MOST_LINES,
        help_text="all that the order is to have; a seat type that is left out is given up",
    )
    reason = Lines(required=False, allow_blank=True, max_length=500, default="")


class CancelShape(Shape):
    reason = Lines(required=False, allow_blank=True, max_length=500, default="")


class PricedLineShape(Shape):
    seat_type = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price = MoneyShape()


class HowToPayShape(Shape):
    provider = serializers.CharField()
    pay_url = serializers.URLField(allow_null=True, help_text="the page where to pay, if there is one")
    reference = serializers.CharField(
        allow_blank=True, help_text="what a transfer has to name; empty where there is a page"
    )
    text = serializers.CharField(allow_blank=True, help_text="how to pay, in words; empty where there is a page")


class StartedShape(HowToPayShape):
    payment_id = serializers.UUIDField()
    amount = MoneyShape()


class PaymentShape(Shape):
    """`pay_url` is that of `how_to_pay`."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(PAYMENT_STATUSES)
    amount = MoneyShape()
    pay_url = serializers.URLField(allow_null=True, help_text="where to pay, while that is possible")
    how_to_pay = HowToPayShape(allow_null=True, help_text="of the newest payment, while it can be paid")


class RefundShape(Shape):
    id = serializers.UUIDField()
    amount = MoneyShape(help_text="what is left for it, where it has failed and the rest went elsewhere")
    status = serializers.ChoiceField(REFUND_STATUSES, help_text="closed: it has failed, and nothing is left for it")


class ReceivedPaymentShape(PaymentShape):
    """Where money came in twice for one payment, it is there twice, each time with a reference of its own."""

    received_at = serializers.DateTimeField(allow_null=True)
    reference = serializers.CharField(
        allow_blank=True, help_text="the provider's name for what was paid; empty until it was"
    )
    refunds = RefundShape(many=True)


class BalanceShape(Shape):
    received = MoneyShape()
    returned = MoneyShape()
    due = MoneyShape(help_text="what is still waited for")


class OwedChangeShape(Shape):
    """In force once `due` of the balance is paid, until `expires_at`; if it isn't, the order stays as it is."""

    lines = PricedLineShape(many=True)
    total = MoneyShape(help_text="what the order will cost")


class CancellationShape(Shape):
    until = serializers.DateTimeField(allow_null=True, help_text="before which it can be cancelled; null: at any time")
    fee = MoneyShape(help_text="what would be kept")
    to_be_returned = MoneyShape(help_text="what would go back")


class OrderShape(Shape):
    deprecated = {"payment": Deprecation(datetime(2026, 11, 30, tzinfo=UTC), instead="payments")}

    id = serializers.UUIDField(source="order_id")
    number = serializers.CharField()
    customer_id = serializers.UUIDField()
    conference_id = serializers.UUIDField()
    status = serializers.ChoiceField(OrderSummary.Status.choices)
    lines = PricedLineShape(many=True)
    total = serializers.SerializerMethodField()
    placed_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="until when what is due is to be paid")
    change = serializers.SerializerMethodField(
        help_text="what a confirmed order is to have as soon as it is paid; null if there is no such change"
    )
    cancellation = serializers.SerializerMethodField(
        help_text="what cancelling it would mean; null if its customer never can"
    )
    fee = serializers.SerializerMethodField(help_text="what is kept of its money, where it was cancelled")
    balance = serializers.SerializerMethodField()
    payments = serializers.SerializerMethodField()
    payment = serializers.SerializerMethodField(help_text="the newest of `payments`, which says more")

    @extend_schema_field(MoneyShape)
    def get_total(self, row: OrderSummary) -> Any:
        return _money(row.total, row.currency)

    @extend_schema_field(OwedChangeShape(allow_null=True))
    def get_change(self, row: OrderSummary) -> Any:
        if row.change is None:
            return None
        lines, total = row.change["lines"], Money(Decimal(row.change["total"]), row.currency)
        return OwedChangeShape.of({"lines": lines, "total": total})

    @extend_schema_field(CancellationShape(allow_null=True))
    def get_cancellation(self, row: OrderSummary) -> Any:
        held = Money(Decimal(row.received - row.returned) - _under_way(row), row.currency)
        if row.status in OPEN:
            return CancellationShape.of({"until": None, "fee": held * 0, "to_be_returned": held})
        conference = getattr(row, "conference", None)
        if conference is None:
            return None
        rule = conference.cancellation_of_orders
        until = rule.ends_at(conference.starts_at)
        if until == BEGINNING:
            return None
        fee = cancellation_fee(rule, msgspec.convert(row.lines, tuple[PricedLine, ...]), held)
        return CancellationShape.of({"until": until, "fee": fee, "to_be_returned": held - fee})

    @extend_schema_field(MoneyShape)
    def get_fee(self, row: OrderSummary) -> Any:
        return _money(row.fee, row.currency)

    @extend_schema_field(BalanceShape)
    def get_balance(self, row: OrderSummary) -> Any:
        return {name: _money(getattr(row, name), row.currency) for name in ("received", "returned", "due")}

    @extend_schema_field(ReceivedPaymentShape(many=True))
    def get_payments(self, row: OrderSummary) -> Any:
        return [
            {
                "id": payment["id"],
                "status": payment["status"],
                "amount": _money(payment["amount"], payment["currency"]),
                "received_at": payment["received_at"],
                "reference": payment["reference"],
                "refunds": [
                    {**refund, "amount": _money(refund["amount"], payment["currency"])} for refund in payment["refunds"]
                ],
                **self._how_to_pay(row, UUID(payment["id"]), payment["status"]),
            }
            for payment in row.payments
        ]

    @extend_schema_field(PaymentShape(allow_null=True))
    def get_payment(self, row: OrderSummary) -> Any:
        if row.payment_id is None or row.payment_amount is None:
            return None
        return PaymentShape.of(
            {
                "id": row.payment_id,
                "status": row.payment_status,
                "amount": Money(row.payment_amount, row.payments[-1]["currency"] if row.payments else row.currency),
                **self._how_to_pay(row, row.payment_id, row.payment_status),
            }
        )

    def _how_to_pay(self, row: OrderSummary, payment_id: UUID, status: str) -> dict[str, Any]:
        """Nobody is asked over the network for it."""
        payable = payment_id == row.payment_id and row.payment_amount is not None and _is_payable(row, status)
        if not payable or row.payment_amount is None:
            return {"pay_url": None, "how_to_pay": None}
        provider = row.provider or settings.PAYMENT_PROVIDER
        amount = Money(row.payment_amount, row.currency)
        how = paying.told(provider, payment_id, order_number=row.number, amount=amount)
        shown = how and {"provider": provider, **_instructions(how)}
        return {"pay_url": how and how.pay_url, "how_to_pay": shown}


class CancelledShape(OrderShape):
    to_be_returned = MoneyShape(help_text="what goes back; under way until it has")


class WouldCancelShape(WouldRecordShape):
    fee = MoneyShape(help_text="what would be kept")
    to_be_returned = MoneyShape(help_text="what would go back")


class WouldPlaceShape(WouldRecordShape):
    would_be_refused = serializers.ChoiceField(
        [SOLD_OUT, CANCELLED, CUSTOMER_LIMIT, UNPAID_LIMIT],
        allow_null=True,
        help_text="why the order would get no seats; null if there are some",
    )


class OrderQuery(PageQuery):
    status = serializers.ChoiceField(OrderSummary.Status.choices, required=False)
    conference_id = Identifier(required=False)
    customer_id = Identifier(required=False)


class OrderPage(Shape):
    results = OrderShape(many=True)
    next = serializers.URLField(allow_null=True)


class OrderAsOfShape(OrderShape):
    """What only concerns who acts on it now is null: `pay_url`, `how_to_pay` and `cancellation`."""

    @extend_schema_field(CancellationShape(allow_null=True))
    def get_cancellation(self, row: OrderSummary) -> Any:
        return None

    def _how_to_pay(self, row: OrderSummary, payment_id: UUID, status: str) -> dict[str, Any]:
        return {"pay_url": None, "how_to_pay": None}


class OneOrderQuery(Shape):
    as_of = AsOf(required=False, help_text="for staff: a position of the log or a time; the order as it was then")


class HistoryEntryShape(Shape):
    position = serializers.IntegerField()
    version = serializers.IntegerField()
    type = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    actor = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]  # a field of that name


class HistoryShape(Shape):
    results = HistoryEntryShape(many=True)
    next = serializers.URLField(allow_null=True)


class OrderView(View):
    """What the calls about orders share."""

    scope = "orders"

    def order(self, order_id: UUID, *, touch: bool = False) -> Order:
        """From its stream. Raises `StreamNotFound`, also for somebody else's."""
        order = repository.get(Order, order_id)
        (self.caller.must_touch if touch else self.caller.must_see)(order.customer_id, OrderSummary)
        return order

    def show(self, row: OrderSummary) -> Any:
        if row.status == OrderSummary.Status.CONFIRMED:
            self.look_up([row])
            row.conference = self.conferences[row.conference_id]  # type: ignore[attr-defined]  # annotated
        return OrderShape.of(row)

    @cached_property
    def conferences(self) -> dict[UUID, ConferenceSummary | None]:
        """Those of confirmed orders, each read once for a call; None while it can't be read yet."""
        return {}

    def look_up(self, rows: list[OrderSummary]) -> None:
        confirmed = {row.conference_id for row in rows if row.status == OrderSummary.Status.CONFIRMED}
        if unknown := confirmed - self.conferences.keys():
            terms = ConferenceSummary.objects.only("status", "starts_at", "cancellation")
            self.conferences.update(dict.fromkeys(unknown) | terms.in_bulk(unknown))

    def as_it_stands(self, receipt: Receipt, status: int, *, location: str | None = None) -> Response:
        row = _row(receipt)
        return self.written(receipt, self.show(row), row.version, status=status, location=location)

    def current(self) -> str | None:
        return self.etag(self.kwargs["order_id"]) if "order_id" in self.kwargs else None

    def etag(self, order_id: UUID) -> str:
        row = _folded(order_id)
        return etag_of(self.show(row), row.version)


class Orders(OrderView):
    reads = (OrderSummaries, SeatAvailability)
    query = OrderQuery
    would = WouldPlaceShape
    shows = OrderShape

    @extend_schema(operation_id="orders_list", parameters=[OrderQuery], responses={200: OrderPage, 202: PendingShape})
    def get(self, request: Request) -> Response:
        """The orders that the caller may see, the newest first."""
        rows = OrderSummary.objects.all()
        if not self.caller.sees_all_of(OrderSummary):
            rows = rows.filter(customer_id=self.caller.customer_id) if self.caller.customer_id else rows.none()
        how = {name: self.asked.pop(name) for name in ("limit", "cursor")}
        return page(request, rows.filter(**self.asked), self.show, look_up=self.look_up, **how)

    @refuses(CustomerNotFound, ConferenceNotFound, StreamExists, *NOT_OFFERED, CustomerLimitReached, UnpaidLimitReached)
    @extend_schema(request=PlaceShape, responses={201: OrderShape})
    def post(self, request: Request) -> Response:
        """Places an order. The answer is how it stands after the sale has got as far as it gets without a payment."""
        values = shaped(PlaceShape, request.data)
        if not self.caller.may_act_for(values["customer_id"]):
            raise CustomerNotFound
        order_id = values.pop("id", None) or self.new_id()
        lines = tuple(Line(**line) for line in values.pop("lines"))
        if "provider" in values:
            check_offered(values["provider"], values["conference_id"])
        check_unpaid(order_id, values["customer_id"], values["conference_id"], lines)
        receipt = self.create(PlaceOrder(order_id=order_id, lines=lines, **values))
        location = request.build_absolute_uri(reverse("order", args=[order_id]))
        return self.as_it_stands(receipt, 201, location=location)

    def would_mean(self, foreseen: Preview) -> dict[str, Any]:
        refusal = None
        for placed in foreseen.recorded:
            assert isinstance(placed, OrderPlaced)
            with repository.looked_at(ConferenceSeats, placed.conference_id) as seats:
                refusal = seats.refusal(placed.customer_id, placed.lines, conf.unpaid_limit())
        return {"would_be_refused": refusal}


class OneOrder(OrderView):
    query = OneOrderQuery
    tagged = True
    shows = OrderShape
    reads = (OrderSummaries, SeatAvailability)

    @refuses(PermissionDenied)
    @extend_schema(parameters=[OneOrderQuery], responses={200: OrderShape, 202: PendingShape})
    def get(self, request: Request, order_id: UUID) -> Response:
        """An order as it stands, or as it was at some time. Then it is folded from the log by the code of today, and
        what only concerns who acts on it now is null: `pay_url`, `how_to_pay` and `cancellation`.
        """
        if "as_of" in self.asked:
            return self.as_of(order_id, self.asked["as_of"])
        row = OrderSummary.objects.filter(pk=order_id).first()
        if row is None:
            self.order(order_id)
            return self.pending(order_id, SUMMARIES.name)
        self.caller.must_see(row.customer_id, OrderSummary)
        return self.shown(self.show(row), row.version)

    def as_of(self, order_id: UUID, when: int | datetime) -> Response:
        """Raises `PermissionDenied`, and `StreamNotFound` where it wasn't placed yet."""
        self.order(order_id)
        if not self.caller.is_staff:
            raise PermissionDenied
        self.lag = None  # the log has it at once
        upto = log_reads.reached(when)
        events = [each for each in _events(order_id) if each.position <= upto]
        if not any(each.stream_id == order_id for each in events):
            raise StreamNotFound
        row = log_reads.folded(SUMMARIES, order_id, events)
        answer = self.shown(OrderAsOfShape.of(row), row.version)
        answer["Event-Position"] = str(upto)
        return answer


class Cancellation(OrderView):
    would = WouldCancelShape
    shows = OrderShape

    @refuses(OrderNotCancellable, CancellationClosed, PermissionDenied)
    @extend_schema(request=CancelShape, responses=CancelledShape)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Cancels an order. Seats return, and the provider is asked to return the money; the answer says how much."""
        self.order(order_id, touch=True)
        values = shaped(CancelShape, request.data)
        receipt = self.send(CancelOrder(order_id=order_id, **values))
        row = _row(receipt)
        return self.written(receipt, self.show(row), row.version, to_be_returned=_to_be_returned(row, row.fee))

    def would_mean(self, foreseen: Preview) -> dict[str, Any]:
        (cancelled,) = foreseen.recorded
        assert isinstance(cancelled, OrderCancelled)
        row, fee = _folded(foreseen.stream_id), cancelled.fee.amount if cancelled.fee else Decimal(0)
        return {"fee": _money(fee, row.currency), "to_be_returned": _to_be_returned(row, fee)}


class Payments(OrderView):
    @refuses(OrderNotPayable, ProviderNotOffered, NotReachable, PermissionDenied)
    @extend_schema(request=PayShape, responses={200: StartedShape, 202: PendingShape})
    def post(self, request: Request, order_id: UUID) -> Response:
        """How to pay what is due: the provider is asked for its page, which is the same however often this is called.
        Another provider may be named that the conference has.
        """
        order = self.order(order_id, touch=True)
        wanted = shaped(PayShape, request.data).get("provider", "")
        self.must_be_as_seen()
        receipt = None
        if wanted and wanted != (order.provider or settings.PAYMENT_PROVIDER):
            check_offered(wanted, order.conference_id)
            receipt = self.send(ChooseProvider(order_id=order_id, provider=wanted))
        row = _folded(order_id) if self.dry_run else OrderSummary.objects.filter(pk=order_id).first()
        if row is None or row.status == OrderSummary.Status.PLACED:
            return self.pending(order_id, SUMMARIES.name)
        if row.payment_id is None or not _is_payable(row, row.payment_status):
            raise OrderNotPayable
        payment = repository.get(Payment, row.payment_id)
        if wanted not in ("", payment.provider):
            return self.pending(order_id, SUMMARIES.name)
        provider = _provider_of(payment)
        if self.dry_run:
            return self.would_record(Preview(stream_id=order_id, recorded=()))
        started, etag = _started(payment, provider, order.number), etag_of(self.show(row), row.version)
        position = (receipt and chain_position(receipt)) or log_reads.last_position(order_id)
        return Response(started, headers={"ETag": etag, **min_position.written(position)})


class Quantities(OrderView):
    shows = OrderShape

    @refuses(
        OrderNotChangeable,
        ChangeUnderWay,
        QuantitiesUnchanged,
        *NOT_OFFERED,
        *REFUSALS.values(),
        PermissionDenied,
    )
    @extend_schema(request=QuantitiesShape, responses=OrderShape)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Changes the quantities. The answer is the order after its conference has been asked for the seats: with other
        `lines`, or with a `change` that is to be paid first. Refused where somebody else got the seats meanwhile.
        """
        self.order(order_id, touch=True)
        values = shaped(QuantitiesShape, request.data)
        lines = tuple(Line(**line) for line in values.pop("lines"))
        receipt = self.send(ChangeQuantities(order_id=order_id, lines=lines, **values))
        for recorded in store.read_stream(order_id, receipt.version):
            if isinstance(recorded.event, QuantityChangeRefused):
                raise REFUSALS.get(recorded.event.reason, OrderNotChangeable)
        return self.as_it_stands(receipt, 200)

    def would_mean(self, foreseen: Preview) -> dict[str, Any]:
        """Nothing more. Raises `UnpaidLimitReached`, which the conference alone decides."""
        order = repository.get(Order, foreseen.stream_id)
        for requested in foreseen.recorded:
            assert isinstance(requested, QuantityChangeRequested)
            with repository.looked_at(ConferenceSeats, order.conference_id) as seats:
                seats.check_unpaid_change(order.id, requested.lines, conf.unpaid_limit())
        return {}


class StatusMail(OrderView):
    shows = OrderShape

    @refuses(StatusMailTooSoon, PermissionDenied)
    @extend_schema(request=None, responses={202: OrderShape})
    def post(self, request: Request, order_id: UUID) -> Response:
        """Asks for a mail that says how the order stands. Too soon after another it is refused, with `Retry-After`."""
        self.order(order_id, touch=True)
        shaped(Shape, request.data)
        return self.as_it_stands(self.send(RequestStatusMail(order_id=order_id, pause=conf.status_mail_pause())), 202)


class History(OrderView):
    reads = ()
    query = PageQuery
    tagged = True

    @extend_schema(parameters=[PageQuery], responses=HistoryShape)
    def get(self, request: Request, order_id: UUID) -> Response:
        """The events of the order, from the log itself, the oldest first; a page costs as much as a page."""
        self.caller.must_see(_placed(order_id).customer_id, OrderSummary)
        found = page_of_stream(request, order_id, _entry, **self.asked)
        version = found.results[-1]["version"] if found.results else 0
        return self.shown(found._asdict(), version, **found.headers)


def check_offered(provider: str, conference_id: UUID) -> None:
    """Raises `ProviderNotOffered` where orders of the conference are not paid by this provider. One that can't be read
    yet is left to the command.
    """
    conference = ConferenceSummary.objects.only("providers").filter(pk=conference_id).first()
    if conference is not None and provider not in (names := registry.offered(conference.providers)):
        raise not_offered(names)


def check_unpaid(order_id: UUID, customer_id: UUID, conference_id: UUID, lines: tuple[Line, ...]) -> None:
    """Raises `UnpaidLimitReached` before an order is placed that would only be refused, unless it is there already. The
    conference has the last word, where seats are given out.
    """
    with repository.looked_at(ConferenceSeats, conference_id) as seats:
        try:
            if seats.exists:
                seats.check_unpaid_limit(customer_id, lines, conf.unpaid_limit())
        except UnpaidLimitReached:
            if not store.version_of(order_id):
                raise


def _is_payable(row: OrderSummary, status: str) -> bool:
    waits = row.status == OrderSummary.Status.AWAITING_PAYMENT or row.change is not None
    return waits and status in PAYABLE


def _provider_of(payment: Payment) -> Provider:
    """Raises `OrderNotPayable` where it is not installed any more."""
    provider = registry.provider(payment.provider)
    if provider is None:
        raise OrderNotPayable
    return provider


def _started(payment: Payment, provider: Provider, number: str) -> Any:
    """Raises `NotReachable`."""
    try:
        how = paying.asked(provider, payment.id, order_number=number, amount=payment.amount)
    except paying.ProviderUnavailable:
        raise NotReachable from None
    return StartedShape.of(
        {"payment_id": payment.id, "provider": provider.name, "amount": payment.amount, **_instructions(how)}
    )


def _instructions(how: Instructions) -> dict[str, Any]:
    return {"pay_url": how.pay_url, "reference": how.reference, "text": how.text}


def _under_way(row: OrderSummary) -> Decimal:
    """What is on its way back, in the currency of the order."""
    refunds = (each for payment in row.payments if payment["currency"] == row.currency for each in payment["refunds"])
    return sum((Decimal(each["amount"]) for each in refunds if each["status"] == "requested"), Decimal(0))


def _to_be_returned(row: OrderSummary, fee: Decimal) -> Any:
    return _money(row.received - row.returned - fee, row.currency)


def _money(amount: Decimal | str, currency: str) -> Any:
    return MoneyShape.of(Money(Decimal(amount), currency))


def _placed(order_id: UUID) -> OrderPlaced:
    """How its history begins. Raises `StreamNotFound`."""
    for first in store.read_stream_part(order_id, 0, 1):
        if isinstance(first.event, OrderPlaced):
            return first.event
    raise StreamNotFound


def _entry(recorded: Recorded) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "version": recorded.version,
        "type": recorded.type,
        "recorded_at": serializers.DateTimeField().to_representation(recorded.recorded_at),
        "actor": recorded.actor,
        "data": msgspec.to_builtins(recorded.event),
    }


def _row(receipt: Receipt) -> OrderSummary:
    """The row, or while its projection is behind, what it will be."""
    order_id = receipt.stream_id
    return log_reads.written(SUMMARIES, order_id, receipt.version) or _folded(order_id)


def _folded(order_id: UUID) -> OrderSummary:
    return log_reads.folded(SUMMARIES, order_id, _events(order_id))


def _events(order_id: UUID) -> list[Recorded]:
    """Of the order, of its account, and of its payments, as far as these are known: those that were asked for, one
    after the other, those of which money has come in, and those that its row has.
    """
    booked = store.read_stream(account_id_of(order_id))
    known = OrderSummary.objects.filter(pk=order_id).values_list("payments", flat=True).first() or ()
    shown = (UUID(each["id"]) for each in known)
    asked = takewhile(store.version_of, (further_payment_id(order_id, number) for number in count(1)))
    payments = {payment_id_of(order_id), *asked, *(_payment_of(each) for each in booked), *shown}
    streams = [booked, *(store.read_stream(stream_id) for stream_id in (order_id, *payments))]
    return sorted((each for stream in streams for each in stream), key=lambda each: each.position)


def _payment_of(booked: Recorded) -> UUID:
    payment_id: UUID = booked.event.payment_id  # type: ignore[attr-defined]  # every event of an account has one
    return payment_id
