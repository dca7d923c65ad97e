"""The whole sale through the command path."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from benchmarks.wire import Trip, traced
from eventstore import database, store
from eventstore.commands import dispatch
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.testing import only_handlers
from ordering.domain.finance import MarkRefundMade, RequestRefund, RetryRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.domain.payment import (
    AcceptPayment,
    AssignPayment,
    AwaitPayment,
    DeclinePayment,
    KeepUnmatched,
    further_payment_id,
    unmatched_payment_id,
)
from ordering.domain.values import payment_id_of
from ordering.effects.refund import ask_provider
from ordering.models import ConferenceSummary, OrderSummary
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

PRICE = shop.PRICE.amount


def status_of(order_id):
    return OrderSummary.objects.get(pk=order_id).status


def types_of(stream_id):
    return [each.type for each in store.read_stream(stream_id)]


def balance_of(order_id):
    row = OrderSummary.objects.get(pk=order_id)
    return row.received, row.returned, row.due


def refunds_of(order_id):
    """Of each payment, the amounts and where they stand."""
    payments = OrderSummary.objects.get(pk=order_id).payments
    return [[(refund["amount"], refund["status"]) for refund in payment["refunds"]] for payment in payments]


def available(conference_id):
    return ConferenceSummary.objects.get(pk=conference_id).seat_types["standard"]["available"]


def test_an_order_awaits_its_payment_when_the_command_returns():
    conference, ada = shop.conference_on_sale(), shop.customer()
    receipt = shop.place(ada, conference, 2)
    assert receipt.settled
    summary = OrderSummary.objects.get(pk=receipt.stream_id)
    assert summary.status == "awaiting_payment"
    assert summary.payment_status == "requested"
    assert available(conference) == 98


def test_a_sale_takes_so_many_round_trips_and_commits_and_no_more():
    conference, ada = shop.conference_on_sale(), shop.customer()
    shop.pay(shop.order(ada, conference, 2), 2)
    trips: list[Trip] = []
    with traced(database.session(), trips):
        shop.pay(shop.order(ada, conference, 2), 2)
    trips = [trip for trip in trips if not any("eventstore_doorbell" in each for each in trip.statements)]
    assert sum("COMMIT" in trip.statements for trip in trips) == 2 * 7, "each of seven commands, and what follows"
    assert len(trips) <= 44


def test_a_paid_order_is_confirmed_and_its_seats_are_sold():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 2)
    assert shop.pay(order, 2).settled
    assert status_of(order) == "confirmed"
    types = list(StoredEvent.objects.filter(position__gt=3).values_list("type", flat=True))
    assert types == [
        "order.placed",
        "seats.reserved",
        "payment.requested",
        "payment.accepted",
        "finance.payment-received",
        "order.payment-credited",
        "order.confirmed",
        "seats.sold",
    ]
    assert Timer.objects.get().status == "cancelled"


def test_an_order_of_more_seats_than_there_are_is_refused():
    conference, ada = shop.conference_on_sale(capacity=3), shop.customer()
    shop.order(ada, conference, 2)
    refused = shop.order(ada, conference, 2)
    assert status_of(refused) == "refused"
    assert available(conference) == 1


def test_a_cancelled_order_that_was_paid_is_refunded_once_the_provider_has_settled_it():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    shop.pay(order)
    dispatch(CancelOrder(order_id=order, reason="ill"))
    assert status_of(order) == "cancelled"
    assert available(conference) == 100
    assert refunds_of(order) == [[("99.50", "requested")]]
    bring_to_rest()
    assert status_of(order) == "refunded"
    assert refunds_of(order) == [[("99.50", "settled")]]
    assert balance_of(order) == (PRICE, PRICE, 0)


def test_an_order_that_costs_nothing_is_confirmed_without_a_payment():
    conference, ada = shop.conference_on_sale(price=shop.PRICE * 0), shop.customer()
    order = shop.order(ada, conference)
    summary = OrderSummary.objects.get(pk=order)
    assert (summary.status, summary.due) == ("confirmed", PRICE * 0)
    assert summary.payments == []
    assert StoredEvent.objects.filter(type="seats.sold").exists()
    assert not StoredEvent.objects.filter(category="payment").exists()


def test_an_order_that_is_paid_late_is_taken_up_again_while_there_are_seats():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    dispatch(ExpireOrder(order_id=order))
    assert available(conference) == 100
    shop.pay(order)
    assert status_of(order) == "confirmed"
    assert available(conference) == 99
    assert types_of(order)[-3:] == ["order.payment-credited", "order.taken-up", "order.confirmed"]


def test_an_order_that_is_paid_in_part_waits_for_the_rest_and_is_confirmed_by_it():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 3)
    shop.pay(order, 1)
    summary = OrderSummary.objects.get(pk=order)
    assert (summary.status, summary.due) == ("awaiting_payment", 2 * PRICE)
    assert [(each["status"], each["amount"]) for each in summary.payments] == [
        ("accepted", "99.50"),
        ("requested", "199.00"),
    ]
    rest = further_payment_id(order, 1)
    assert summary.payment_id == rest
    dispatch(AcceptPayment(payment_id=rest, amount=shop.PRICE * 2, reference="REST"))
    assert status_of(order) == "confirmed"
    assert balance_of(order) == (3 * PRICE, 0, 0)
    assert Delivery.objects.filter(effect="mail.payment-requested").count() == 2


def test_an_order_that_is_never_paid_in_full_expires_and_what_was_paid_goes_back():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 2)
    shop.pay(order, 1)
    let_pass(timedelta(hours=1))
    bring_to_rest()
    assert status_of(order) == "expired"
    assert available(conference) == 100
    assert balance_of(order) == (PRICE, PRICE, 0)


def test_what_is_paid_too_much_goes_back_and_the_order_is_confirmed():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 2)
    shop.pay(order, 3)
    bring_to_rest()
    assert status_of(order) == "confirmed"
    assert refunds_of(order) == [[("99.50", "settled")]]
    assert balance_of(order) == (3 * PRICE, PRICE, 0)


def test_where_staff_decide_what_was_paid_twice_stays_until_they_do(settings):
    settings.PAYMENT_EXCESS = {"sandbox": "staff"}
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="TWICE"))
    bring_to_rest()
    assert balance_of(order) == (2 * PRICE, 0, 0)
    twice: dict[str, Any] = {"provider": "sandbox", "reference": "TWICE", "reason": "paid twice"}
    dispatch(RequestRefund(account_id=account_id_of(order), amount=shop.PRICE, **twice))
    bring_to_rest()
    assert balance_of(order) == (2 * PRICE, PRICE, 0)


def test_a_payment_that_is_declined_after_it_was_accepted_takes_nothing_away():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    dispatch(DeclinePayment(payment_id=payment_id_of(order), reason="No."))
    bring_to_rest()
    assert StoredEvent.objects.filter(type="payment.declined").exists()
    assert status_of(order) == "confirmed"
    assert OrderSummary.objects.get(pk=order).payment_status == "accepted"


def test_a_pending_payment_keeps_the_order_beyond_its_time_and_not_beyond_the_bound(settings):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(AwaitPayment(payment_id=payment_id_of(order), reference="SOON"))
    let_pass(timedelta(hours=settings.PAYMENT_PENDING_HOURS - 1))
    bring_to_rest(deliver=False)
    assert (status_of(order), OrderSummary.objects.get(pk=order).payment_status) == ("awaiting_payment", "pending")
    let_pass(timedelta(hours=2))
    bring_to_rest(deliver=False)
    assert status_of(order) == "expired"


@pytest.fixture
def failed():
    """An order whose refund the provider has refused, and the refund."""
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="NOREFUND-1"))
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert status_of(order) == "cancelled"
    assert refunds_of(order) == [[("99.50", "failed")]]
    ((refund,),) = (payment["refunds"] for payment in OrderSummary.objects.get(pk=order).payments)
    return order, UUID(refund["id"])


def test_a_refund_that_failed_is_asked_for_again_under_another_key(failed):
    order, refund_id = failed
    dispatch(RetryRefund(account_id=account_id_of(order), refund_id=refund_id))
    assert refunds_of(order) == [[("99.50", "requested")]]
    bring_to_rest()
    assert refunds_of(order) == [[("99.50", "failed")]]
    assert StoredEvent.objects.filter(type="refund.answered").count() == 2
    keys = [ask_provider.idempotency_key(each) for each in store.read(0, store.head(), ask_provider.types, 10)]
    assert len({*keys}) == 2


def test_a_refund_that_failed_is_made_by_hand(failed):
    order, refund_id = failed
    dispatch(MarkRefundMade(account_id=account_id_of(order), refund_id=refund_id, refund_reference="by transfer"))
    bring_to_rest()
    assert status_of(order) == "refunded"
    assert balance_of(order) == (PRICE, PRICE, 0)


def test_a_refund_through_a_provider_that_there_is_not_any_more_fails(settings):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    settings.PAYMENT_PROVIDER = "acme"
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert refunds_of(order) == [[("99.50", "failed")]]
    assert "sandbox" in StoredEvent.objects.get(type="refund.failed").data["reason"]


def test_money_that_nobody_knew_pays_the_order_that_it_is_assigned_to():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    unknown = unmatched_payment_id("bank", "tx-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="tx-9", amount=shop.PRICE))
    dispatch(AssignPayment(payment_id=unknown, order_id=order))
    assert status_of(order) == "confirmed"
    assert balance_of(order) == (PRICE, 0, 0)
    theirs = store.read_stream(account_id_of(unknown))
    assert [each.type for each in theirs] == ["finance.payment-received", "finance.payment-moved-out"]


def test_a_payment_for_an_order_that_ends_before_it_can_be_credited_is_late():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    with only_handlers("order-summaries"):
        shop.pay(order)
        dispatch(ExpireOrder(order_id=order))
    bring_to_rest(deliver=False)
    assert status_of(order) == "confirmed"
    assert available(conference) == 99


def test_everything_that_follows_from_a_request_carries_its_correlation():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    placed = StoredEvent.objects.get(stream_id=order, type="order.placed")
    chain = StoredEvent.objects.filter(correlation_id=placed.correlation_id)
    assert [event.type for event in chain] == ["order.placed", "seats.reserved", "payment.requested"]
    assert {event.metadata["root"] for event in chain} == {placed.metadata["root"]}


def test_every_sync_subscriber_has_seen_everything_when_the_command_returns():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    head = shop.pay(order).position
    assert head is not None
    behind = SubscriberRow.objects.filter(mode="sync", checkpoint__lt=head)
    assert not behind.exists()
    assert not OutboxCommand.objects.exclude(status="done").exists()
    mails = {"mail.welcome", "mail.payment-requested", "mail.order-confirmation"}
    assert {*Delivery.objects.values_list("effect", flat=True)} == mails
