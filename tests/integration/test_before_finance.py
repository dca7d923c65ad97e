"""A log that begins before finance kept books: its figures stay what they were, and its orders go on."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils import timezone

from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from eventstore.testing.subscribers import given
from ordering.domain.order import (
    CancelOrder,
    ExpireOrder,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
)
from ordering.domain.payment import AcceptPayment, PaymentAccepted, PaymentRefunded, PaymentRequested
from ordering.domain.seats import PricedLine, SeatsReserved, SeatsSold
from ordering.domain.values import Money, order_number, payment_id_of
from ordering.models import ConferenceSales, DailySales, OrderSummary
from ordering.processes.sale import Sale
from projections.testing import assert_rebuild_equals_live
from sagas.models import Instance
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

PRICE = shop.PRICE.amount
FIGURES = ("sales-by-day", "sales-by-conference", "order-summaries")


class Past:
    """Appends what the code of that time did."""

    def __init__(self) -> None:
        self.conference, self.customer = shop.conference_on_sale(), shop.customer()

    def order(self, *, paid: Money | None = shop.PRICE) -> UUID:
        order_id = new_id()
        lines = (PricedLine("standard", 1, shop.PRICE),)
        given(
            order_id,
            OrderPlaced(
                order_id=order_id,
                number=order_number(order_id.int),
                customer_id=self.customer,
                conference_id=self.conference,
                lines=lines,
                total=shop.PRICE,
                expires_at=timezone.now() + timedelta(minutes=15),
            ),
            category="order",
        )
        seats = SeatsReserved(conference_id=self.conference, order_id=order_id, lines=lines, total=shop.PRICE)
        given(self.conference, seats, category="conference")
        payment = {"payment_id": payment_id_of(order_id), "order_id": order_id}
        self._pays(order_id, PaymentRequested(amount=shop.PRICE, provider="sandbox", **payment))
        if paid:
            self._pays(order_id, PaymentAccepted(amount=paid, reference=f"R-{order_id}", provider="", **payment))
        return order_id

    def confirmed(self) -> UUID:
        order_id = self.order()
        given(order_id, OrderConfirmed(order_id=order_id), category="order")
        sold = SeatsSold(conference_id=self.conference, order_id=order_id, lines=())
        given(self.conference, sold, category="conference")
        return order_id

    def refunded(self, order_id: UUID, amount: Money = shop.PRICE) -> UUID:
        payment_id = payment_id_of(order_id)
        self._pays(order_id, PaymentRefunded(payment_id=payment_id, order_id=order_id, amount=amount, reason="ended"))
        return order_id

    def _pays(self, order_id: UUID, event: PaymentRequested | PaymentAccepted | PaymentRefunded) -> None:
        given(payment_id_of(order_id), event, category="payment")

    def remembered(self, order_id: UUID, *, paid: bool) -> None:
        """The sale of an order, as its first version left it."""
        state = {
            "order_id": str(order_id),
            "conference_id": str(self.conference),
            "total": {"amount": str(PRICE), "currency": "EUR"},
            "closed": False,
            "paid": paid,
        }
        SubscriberRow.objects.exclude(rank=Rank.PROJECTION).update(checkpoint=store.head())
        Instance.objects.create(saga=Sale.name, key=str(order_id), state=state, version=1, position=store.head())


@pytest.fixture
def past():
    return Past()


def deploy():
    """Nobody who acts hears of what happened before."""
    SubscriberRow.objects.exclude(rank=Rank.PROJECTION).update(checkpoint=store.head())
    feed()


def feed():
    feeding.catch_up([registry[name] for name in ("order-summaries", "sales-by-day", "sales-by-conference")])


def figures(past):
    """Of the day and of the conference: payments, received, refunds, refunded."""
    feed()
    ((*day,),) = DailySales.objects.values_list("payments", "received", "refunds", "refunded")
    ((*sold,),) = [
        (each["payments"], each["total_received"], each["refunds"], each["total_refunded"])
        for each in ConferenceSales.objects.sums(past.conference)
    ]
    assert day == sold
    return tuple(day)


def row(order_id):
    return OrderSummary.objects.get(pk=order_id)


def test_the_figures_of_an_old_log_are_what_they_were(past):
    confirmed = past.confirmed()
    cancelled = past.confirmed()
    given(cancelled, OrderCancelled(order_id=cancelled, reason="ill"), category="order")
    past.refunded(cancelled)
    too_little = past.refunded(past.order(paid=Money(Decimal("50.00"), "EUR")), Money(Decimal("50.00"), "EUR"))
    late = past.order()
    given(late, OrderExpired(order_id=late), category="order")
    past.refunded(late)
    deploy()
    assert figures(past) == (4, 3 * PRICE + 50, 3, 2 * PRICE + 50)
    states = {each: (row(each).status, row(each).payment_status) for each in (confirmed, cancelled, too_little, late)}
    assert states == {
        confirmed: ("confirmed", "accepted"),
        cancelled: ("refunded", "refunded"),
        too_little: ("awaiting_payment", "refunded"),
        late: ("expired", "refunded"),
    }
    assert (row(cancelled).received, row(cancelled).returned, row(confirmed).due) == (PRICE, PRICE, 0)
    for name in FIGURES:
        assert_rebuild_equals_live(name)


def test_an_order_that_was_paid_before_and_is_cancelled_since_gets_its_money_back_and_counts_once(past):
    order = past.confirmed()
    past.remembered(order, paid=True)
    deploy()
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert (row(order).status, row(order).received, row(order).returned) == ("refunded", PRICE, PRICE)
    assert figures(past) == (1, PRICE, 1, PRICE)
    booked = StoredEvent.objects.get(type="finance.payment-received")
    assert booked.data["brought_forward"]
    for name in FIGURES:
        assert_rebuild_equals_live(name)


def test_an_order_that_was_paid_before_and_is_paid_again_since_keeps_one_payment(past):
    order = past.confirmed()
    past.remembered(order, paid=True)
    deploy()
    shop.pay(order, reference="TWICE")
    bring_to_rest()
    assert (row(order).status, row(order).received, row(order).returned) == ("confirmed", 2 * PRICE, PRICE)
    assert figures(past) == (2, 2 * PRICE, 1, PRICE)


def test_an_order_that_waited_for_its_payment_is_confirmed_by_it(past):
    order = past.order(paid=None)
    past.remembered(order, paid=False)
    deploy()
    shop.pay(order)
    assert row(order).status == "confirmed"
    assert figures(past) == (1, PRICE, 0, 0)


def test_a_payment_that_the_first_version_had_not_heard_of_confirms_the_order(past):
    order = past.order(paid=None)
    past.remembered(order, paid=False)
    accepted = PaymentAccepted(
        payment_id=payment_id_of(order), order_id=order, amount=shop.PRICE, reference="R", provider=""
    )
    given(payment_id_of(order), accepted, category="payment")
    bring_to_rest()
    assert row(order).status == "confirmed"
    assert figures(past) == (1, PRICE, 0, 0)
    assert_rebuild_equals_live("sales-by-day")


def test_a_reference_of_before_is_still_known(past):
    order = past.confirmed()
    past.remembered(order, paid=True)
    deploy()
    receipt = dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference=f"R-{order}"))
    assert receipt.position is None


def test_an_order_that_expires_since_goes_on_under_the_new_rules(past):
    order = past.order(paid=None)
    past.remembered(order, paid=False)
    deploy()
    dispatch(ExpireOrder(order_id=order))
    shop.pay(order)
    bring_to_rest()
    assert (row(order).status, row(order).payment_status) == ("expired", "refunded")
