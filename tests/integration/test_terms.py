"""The terms of orders through the command path: until when they are to be paid, whoever says so."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from eventstore import repository
from eventstore.commands import dispatch
from eventstore.operations.base import perform
from eventstore.testing import only_handlers
from ordering.domain.conference_changes import ChangeCancellationRule, ChangePaymentTerms, LimitCustomers
from ordering.domain.errors import CustomerLimitReached, PaymentPeriodOver
from ordering.domain.order import CancelOrder, ExpireOrder, ExtendOrder, Order, ReopenOrder
from ordering.domain.payment import AcceptPayment, AwaitPayment, DeclinePayment, further_payment_id
from ordering.domain.terms import CancellationRule, PaymentTerms, Unit
from ordering.domain.values import Money, payment_id_of
from ordering.models import ConferenceSummary, OrderSummary
from ordering.processes.sale import PAYMENT_TIMER
from sagas.models import Timer
from sagas.operations import MoveTimer
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

GRACE = timedelta(hours=1)
NEXT_YEAR = datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def conference():
    """Orders of it have a fortnight, and an hour of grace."""
    conference_id = shop.conference_on_sale(capacity=10)
    terms = PaymentTerms(14, Unit.DAYS, grace=60)
    dispatch(ChangePaymentTerms(conference_id=conference_id, terms=terms))
    return conference_id


@pytest.fixture
def order(conference):
    return shop.order(shop.customer(), conference)


def deadline_of(order):
    """Until when it is to be paid, as the order, what people read and the one timer that waits have it."""
    timer = Timer.objects.get(key=order, status="waiting", name=PAYMENT_TIMER)
    known = {
        repository.get(Order, order).expires_at,
        OrderSummary.objects.get(pk=order).expires_at,
        timer.due_at - GRACE,
        datetime.fromisoformat(timer.data["deadline"]),
    }
    assert len(known) == 1
    return known.pop()


def status_of(order):
    return OrderSummary.objects.get(pk=order).status


def available(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["available"]


def test_an_order_has_the_deadline_of_its_terms_and_is_kept_for_its_grace(order):
    placed = OrderSummary.objects.get(pk=order)
    assert deadline_of(order).date() - placed.placed_at.date() == timedelta(days=14)
    let_pass(placed.expires_at - datetime.now(UTC))
    bring_to_rest(deliver=False)
    assert status_of(order) == "awaiting_payment"
    let_pass(GRACE)
    bring_to_rest(deliver=False)
    assert status_of(order) == "expired"


def test_the_deadline_is_the_same_everywhere_whoever_moves_it(order):
    first = deadline_of(order)
    dispatch(ExtendOrder(order_id=order, expires_at=first + timedelta(days=7), reason="She was ill."))
    assert deadline_of(order) == first + timedelta(days=7)
    timer = Timer.objects.get(status="waiting", name=PAYMENT_TIMER)
    perform(MoveTimer(target="sale", timer=timer.pk, due_at=NEXT_YEAR), by="ada", reason="She was ill.")
    bring_to_rest(deliver=False)
    assert deadline_of(order) == NEXT_YEAR - GRACE


def test_a_payment_that_is_pending_or_declined_moves_the_deadline_by_the_same_terms(conference, settings):
    dispatch(ChangePaymentTerms(conference_id=conference, terms=PaymentTerms(1, Unit.HOURS, grace=60)))
    order = shop.order(shop.customer(), conference)
    placed = deadline_of(order)
    dispatch(AwaitPayment(payment_id=payment_id_of(order), reference="SOON"))
    longer = timedelta(hours=settings.PAYMENT_PENDING_HOURS - 1)
    assert timedelta(0) <= deadline_of(order) - placed - longer < timedelta(minutes=1)
    dispatch(DeclinePayment(payment_id=payment_id_of(order), reason="No."))
    assert timedelta(0) <= deadline_of(order) - placed < timedelta(minutes=1)


def test_a_reopened_order_gets_its_seats_again_and_is_confirmed_once_it_is_paid(conference, order):
    dispatch(ExpireOrder(order_id=order))
    assert available(conference) == 10
    dispatch(ReopenOrder(order_id=order, reason="The mail was lost."))
    assert (status_of(order), available(conference)) == ("awaiting_payment", 9)
    assert deadline_of(order) > datetime.now(UTC)
    dispatch(AcceptPayment(payment_id=further_payment_id(order, 1), amount=shop.PRICE, reference="LATE"))
    assert status_of(order) == "confirmed"
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    dispatch(ReopenOrder(order_id=order, reason="She comes after all."))
    assert (status_of(order), available(conference)) == ("awaiting_payment", 9)
    summary = OrderSummary.objects.get(pk=order)
    assert (summary.due, summary.payment_id) == (shop.PRICE.amount, further_payment_id(order, 2))


def test_what_is_kept_of_a_cancelled_order_does_not_go_back(conference):
    rule = CancellationRule(fixed=Money(Decimal(5), "EUR"), percent=10)
    dispatch(ChangeCancellationRule(conference_id=conference, rule=rule))
    order = shop.order(shop.customer(), conference)
    shop.pay(order)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    summary = OrderSummary.objects.get(pk=order)
    assert (summary.status, summary.fee, summary.returned) == ("refunded", Decimal("14.95"), Decimal("84.55"))
    shop.pay(order, reference="TWICE")
    bring_to_rest()
    summary.refresh_from_db()
    assert summary.received - summary.returned == summary.fee


def test_no_customer_gets_around_the_limit_with_many_orders_at_once(conference):
    """Placed before any of them has seats, each alone is within the limit."""
    dispatch(LimitCustomers(conference_id=conference, max_per_customer=3))
    ada = shop.customer()
    with only_handlers("order-summaries"):
        orders = [shop.order(ada, conference, 2) for _ in range(3)]
    bring_to_rest(deliver=False)
    assert sorted(map(status_of, orders)) == ["awaiting_payment", "refused", "refused"]
    assert available(conference) == 8
    with pytest.raises(CustomerLimitReached):
        shop.order(ada, conference, 2)
    assert status_of(shop.order(ada, conference)) == "awaiting_payment"


def test_nobody_gets_around_the_limit_of_what_is_unpaid_with_many_orders_at_once(conference, settings):
    settings.UNPAID_ORDERS = 3
    ada = shop.customer()
    with only_handlers("order-summaries"):
        orders = [shop.order(ada, conference) for _ in range(5)]
    bring_to_rest(deliver=False)
    assert sorted(map(status_of, orders)) == ["awaiting_payment"] * 3 + ["refused"] * 2
    assert available(conference) == 7
    refused = next(order for order in orders if status_of(order) == "refused")
    dispatch(ReopenOrder(order_id=refused, reason="She pays at the door."))
    assert (status_of(refused), available(conference)) == ("awaiting_payment", 6)


def test_nothing_is_ordered_after_the_last_day(conference):
    over = PaymentTerms(last_day=date(2020, 1, 1))
    dispatch(ChangePaymentTerms(conference_id=conference, terms=over))
    with pytest.raises(PaymentPeriodOver):
        shop.order(shop.customer(), conference)
