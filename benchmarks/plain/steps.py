"""A sale in five steps, each a transaction: it locks what it changes, checks the rules, changes it and says so in the
history. Rows are locked in one order, the order's before those of seats and sums, so that no two steps wait for each
other.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from benchmarks.plain.models import (
    Conference,
    Customer,
    Order,
    OrderHistory,
    OrderLine,
    Outbox,
    Payment,
    SalesOfDay,
    Seats,
)
from eventstore.context import new_id
from ordering.domain.values import order_number

PAYMENT_WINDOW = timedelta(minutes=15)


class NotAllowed(Exception):
    """A rule forbids this step."""


@transaction.atomic
def place(customer_id: int, conference_id: int, quantities: Mapping[str, int], actor: str) -> Order:
    """Raises `NotAllowed` if nothing is on sale or too much is asked for, and what Django raises for unknown ids."""
    return _placed(Customer.objects.get(pk=customer_id), conference_id, quantities, actor, Order.Status.PLACED)


@transaction.atomic
def order(customer: Customer, conference_id: int, quantities: Mapping[str, int], actor: str) -> Order:
    """The first three steps in one transaction, as they are written when nothing comes between. The rows of seats, for
    which everybody waits, are locked last. Raises what `place` and `reserve` do.
    """
    order = _placed(customer, conference_id, quantities, actor, Order.Status.AWAITING_PAYMENT)
    _pay(order)
    _hold(order)
    return order


@transaction.atomic
def reserve(order_id: int, actor: str) -> None:
    """Hold the seats of an order. Raises `NotAllowed` if there are not enough."""
    order = _locked(order_id, Order.Status.PLACED)
    _hold(order)
    _advance(order, Order.Status.RESERVED, actor)


@transaction.atomic
def request_payment(order_id: int, actor: str) -> Payment:
    """Ask the provider for the money."""
    order = _locked(order_id, Order.Status.RESERVED)
    payment = _pay(order)
    _advance(order, Order.Status.AWAITING_PAYMENT, actor)
    return payment


@transaction.atomic
def accept(payment_id: int, amount: Decimal, reference: str, actor: str) -> Payment:
    """The money came in: note it, and count it among the sales of the day. Raises `NotAllowed` for a second time."""
    payment = Payment.objects.select_for_update().get(pk=payment_id)
    if payment.status != Payment.Status.REQUESTED:
        raise NotAllowed("The payment was accepted before.")
    payment.status, payment.amount, payment.reference = Payment.Status.ACCEPTED, amount, reference
    payment.accepted_at = timezone.now()
    payment.save(update_fields=["status", "amount", "reference", "accepted_at"])
    _note(payment.order_id, "paid", actor, amount=str(amount), reference=reference)
    _count(payment)
    return payment


@transaction.atomic
def confirm(order_id: int, actor: str) -> None:
    """Confirm a paid order: its seats are sold, and a mail will say so."""
    order = _locked(order_id, Order.Status.AWAITING_PAYMENT)
    for line, seats in _locked_seats(order):
        seats.reserved -= line.quantity
        seats.sold += line.quantity
        seats.save(update_fields=["reserved", "sold"])
    _advance(order, Order.Status.CONFIRMED, actor)
    Outbox.objects.create(order=order, template="order_confirmation")


def _placed(
    customer: Customer, conference_id: int, quantities: Mapping[str, int], actor: str, status: Order.Status
) -> Order:
    conference = Conference.objects.get(pk=conference_id)
    if not conference.opens_at <= timezone.now() < conference.closes_at:
        raise NotAllowed("The conference is not on sale.")
    seats = list(Seats.objects.filter(conference=conference, code__in=quantities))
    if len(seats) < len(quantities) or any(not 1 <= quantities[each.code] <= each.max_per_order for each in seats):
        raise NotAllowed("There are no such seats, or not so many for one order.")
    order = Order.objects.create(
        number=order_number(new_id().int),
        customer=customer,
        conference=conference,
        status=status,
        total=sum((each.price * quantities[each.code] for each in seats), Decimal()),
        currency=seats[0].currency,
        expires_at=timezone.now() + PAYMENT_WINDOW,
    )
    OrderLine.objects.bulk_create(
        [
            OrderLine(order=order, seat_type=each.code, quantity=quantities[each.code], unit_price=each.price)
            for each in seats
        ]
    )
    _note(order.pk, status, actor, lines=dict(quantities), total=str(order.total))
    return order


def _hold(order: Order) -> None:
    for line, seats in _locked_seats(order):
        if line.quantity > seats.available:
            raise NotAllowed("Sold out.")
        seats.reserved += line.quantity
        seats.save(update_fields=["reserved"])


def _pay(order: Order) -> Payment:
    return Payment.objects.create(
        order=order, amount=order.total, currency=order.currency, provider=settings.PAYMENT_PROVIDER
    )


def _locked(order_id: int, status: Order.Status) -> Order:
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.status != status:
        raise NotAllowed(f"The order is {order.status}, not {status}.")
    return order


def _locked_seats(order: Order) -> list[tuple[OrderLine, Seats]]:
    """The lines of an order with the seats that they speak of, always locked in the same order."""
    lines = {line.seat_type: line for line in order.lines.all()}
    seats = Seats.objects.select_for_update().filter(conference_id=order.conference_id, code__in=lines)
    return [(lines[each.code], each) for each in seats.order_by("code")]


def _advance(order: Order, status: Order.Status, actor: str) -> None:
    order.status = status
    order.save(update_fields=["status"])
    _note(order.pk, status, actor)


def _note(order_id: int, what: str, actor: str, **data: Any) -> None:
    OrderHistory.objects.create(order_id=order_id, what=what, actor=actor, data=data)


def _count(payment: Payment) -> None:
    """Last of all, for everybody who sells today changes this row."""
    more = {"payments": F("payments") + 1, "received": F("received") + payment.amount}
    today, currency = timezone.now().date(), payment.currency
    if not SalesOfDay.objects.filter(day=today, currency=currency).update(**more):
        SalesOfDay.objects.get_or_create(day=today, currency=currency)
        SalesOfDay.objects.filter(day=today, currency=currency).update(**more)
