"""What providers report of money that has gone back, whoever asked for it."""

import json
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.db.models import Sum

from eventstore import commands, database, repository
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.errors import ConcurrencyConflict
from eventstore.models import Incident, StoredEvent
from ordering.domain.conference_changes import ChangeCancellationRule, ChangeProviders
from ordering.domain.finance import Account, MarkRefundMade, RequestRefund, RetryRefund, account_id_of
from ordering.domain.order import CancelOrder, Order
from ordering.domain.terms import CancellationRule
from ordering.domain.values import Money, payment_id_of
from ordering.models import (
    ConferenceSales,
    DailySales,
    FailedRefund,
    JournalEntry,
    OrderSummary,
    UnmatchedMoney,
)
from ordering.providers.sandbox import Sandbox
from sagas.models import Delivery
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written
from tests.integration.eventstore.beside import Beside
from tests.integration.stripe_server import sign

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def order(stripe):
    """One that is paid by Stripe."""
    conference, (ada, caller) = shop.conference_on_sale(), callers.customer()
    dispatch(ChangeProviders(conference_id=conference, providers=("stripe",)))
    order = shop.order(ada, conference, 2)
    caller.post(f"/orders/{order}/payments")
    stripe.pay(stripe.sessions["cs_1"])
    return order


def tell(*events):
    """The events arrive as Stripe sends them; answers with which status each is received."""
    bodies = [json.dumps(event).encode() for event in events]
    return [
        Caller().post("/webhooks/payments/stripe", body, Stripe_Signature=sign(body)).status_code for body in bodies
    ]


def intent(stripe):
    return stripe.sessions["cs_1"]["payment_intent"]


def row(order):
    return OrderSummary.objects.get(pk=order)


def refunds(order):
    return [(each["amount"], each["status"]) for each in row(order).payments[0]["refunds"]]


def mailed(name):
    return Delivery.objects.filter(effect=f"mail.{name}", status="done").count()


def balance(account):
    """And debits and credits are the same, at every position."""
    entries = JournalEntry.objects.order_by().values("position")
    assert not entries.annotate(off=Sum("debit") - Sum("credit")).exclude(off=0).exists()
    sums = JournalEntry.objects.filter(account=account).aggregate(
        debit=Sum("debit", default=0), credit=Sum("credit", default=0)
    )
    return sums["debit"] - sums["credit"]


def counted(*types):
    return [StoredEvent.objects.filter(type=each).count() for each in types]


def test_a_refund_that_staff_make_at_stripe_is_recorded_once_and_stripe_is_not_asked_for_it(stripe, order):
    assert tell(*stripe.events) == [200]
    bring_to_rest()
    assert row(order).status == "confirmed"
    stripe.give_back(intent(stripe), 5_000)
    assert set(tell(*stripe.events, *stripe.events)) == {200}
    bring_to_rest()
    assert refunds(order) == [("50.00", "settled")]
    assert (row(order).status, row(order).returned) == ("confirmed", 50)
    assert len(stripe.refunds) == 1
    assert counted("refund.requested", "refund.settled", "order.refund-debited", "refund.answered") == [1, 1, 1, 0]


def test_what_is_told_before_the_payment_is_known_is_told_again_later(stripe, order):
    stripe.give_back(intent(stripe), 5_000)
    paid, *refunded = stripe.events
    assert 404 in tell(*refunded)
    assert tell(paid) == [200]
    bring_to_rest()
    assert set(tell(*refunded)) == {200}
    assert row(order).returned == 50


def test_a_refund_of_ours_is_known_by_its_key_whoever_tells_of_it_first(stripe, order):
    tell(*stripe.events)
    bring_to_rest()
    stripe.instant_refunds = False
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert refunds(order) == [("199.00", "requested")]
    (refund,) = stripe.refunds.values()
    stripe.refund_ends(refund, "succeeded")
    for events in (stripe.events, reversed(stripe.events)):
        assert set(tell(*events)) == {200}
    bring_to_rest()
    assert refunds(order) == [("199.00", "settled")]
    assert counted("refund.requested", "refund.settled") == [1, 1]
    assert row(order).status == "refunded"


def test_a_refund_that_staff_and_the_provider_have_both_made_is_an_incident(stripe, order):
    tell(*stripe.events)
    bring_to_rest()
    stripe.instant_refunds = False
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    account_id = account_id_of(order)
    (refund_id,) = repository.load(Account, account_id).refunds
    dispatch(MarkRefundMade(account_id=account_id, refund_id=refund_id, refund_reference="cheque 7"))
    (refund,) = stripe.refunds.values()
    stripe.refund_ends(refund, "succeeded")
    assert 409 in tell(*stripe.events)
    assert "refund-made-twice" in Incident.objects.get(kind="payment report").text
    bring_to_rest()
    assert refunds(order) == [("199.00", "settled")]
    assert counted("refund.settled") == [1]


def test_a_refund_of_ours_that_fails_in_the_end_waits_for_staff(stripe, order):
    tell(*stripe.events)
    bring_to_rest()
    stripe.instant_refunds = False
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    (refund,) = stripe.refunds.values()
    stripe.refund_ends(refund, "failed", "lost_or_stolen_card")
    tell(*stripe.events, *stripe.events)
    bring_to_rest()
    assert refunds(order) == [("199.00", "failed")]
    assert counted("refund.failed") == [1]


def test_a_refund_that_comes_back_after_it_was_settled_waits_for_staff_who_have_it_made_once_more(stripe, order):
    tell(*stripe.events)
    bring_to_rest()
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert (refunds(order), row(order).status) == ([("199.00", "settled")], "refunded")
    assert (mailed("refund-made"), balance("customers")) == (1, 0)
    (refund,) = stripe.refunds.values()
    told = len(stripe.events)
    stripe.refund_ends(refund, "failed", "lost_or_stolen_card")
    for _ in range(2):
        assert set(tell(*stripe.events[told:])) == {200}
    assert set(tell(*reversed(stripe.events))) == {200}
    bring_to_rest()
    assert (refunds(order), row(order).status, row(order).returned) == ([("199.00", "failed")], "cancelled", 0)
    assert row(order).payments[0]["status"] == row(order).payment_status == "accepted"
    assert counted("refund.reversed", "order.refund-recredited", "refund.failed") == [1, 1, 0]
    waiting = FailedRefund.objects.get()
    assert (waiting.order_id, waiting.amount) == (order, Decimal(199))
    assert "lost_or_stolen_card" in waiting.reason
    assert not Incident.objects.exists()
    assert (mailed("refund-reversed"), balance("customers"), balance("provider")) == (1, -199, 199)
    dispatch(RetryRefund(account_id=waiting.account_id, refund_id=waiting.refund_id))
    bring_to_rest()
    assert len(stripe.refunds) == 2
    assert (refunds(order), row(order).status, row(order).returned) == ([("199.00", "settled")], "refunded", 199)
    assert set(tell(*stripe.events)) == {200}
    bring_to_rest()
    assert (refunds(order), FailedRefund.objects.count()) == ([("199.00", "settled")], 0)
    assert (mailed("refund-made"), mailed("refund-reversed"), balance("customers")) == (2, 1, 0)
    sales = ConferenceSales.objects.get()
    assert (sales.refunded, sales.refunds, DailySales.objects.get().refunded) == (Decimal(199), 1, Decimal(199))


def test_what_is_on_its_way_back_is_neither_kept_nor_returned_twice(stripe, order):
    rule = CancellationRule(percent=80)
    dispatch(ChangeCancellationRule(conference_id=row(order).conference_id, rule=rule))
    tell(*stripe.events)
    bring_to_rest()
    stripe.instant_refunds = False
    amount = Money(Decimal(150), "EUR")
    favour = RequestRefund(
        account_id=account_id_of(order), provider="stripe", reference=intent(stripe), amount=amount, reason="A favour."
    )
    dispatch(favour)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert (row(order).fee, refunds(order)) == (Decimal(49), [("150.00", "requested")])
    (refund,) = stripe.refunds.values()
    stripe.refund_ends(refund, "succeeded")
    tell(*stripe.events)
    bring_to_rest()
    assert (row(order).status, row(order).received - row(order).returned) == ("refunded", Decimal(49))
    assert (balance("customers"), balance("fees"), balance("provider")) == (0, -49, 49)


def test_a_refund_that_is_asked_for_while_an_order_is_being_cancelled_lowers_the_fee(stripe, order):
    dispatch(ChangeCancellationRule(conference_id=row(order).conference_id, rule=CancellationRule(percent=80)))
    tell(*stripe.events)
    bring_to_rest()
    favour = RequestRefund(
        account_id=account_id_of(order),
        provider="stripe",
        reference=intent(stripe),
        amount=Money(Decimal(150), "EUR"),
        reason="A favour.",
    )
    with pytest.raises(ConcurrencyConflict), database.transaction("default"):
        cancelling = commands.decide(CancelOrder(order_id=order), new_id(), using="default")
        assert Beside(partial(dispatch, favour)).outcome() is None
        cancelling.commit()
    dispatch(CancelOrder(order_id=order))
    assert repository.get(Order, order).fee == Money(Decimal(49), "EUR")


def test_a_refund_of_money_that_nobody_knows_comes_back_to_where_it_was():
    report = {"id": "evt-1", "outcome": "accepted", "reference": "REF-1", "payment_id": str(payment_id_of(uuid4()))}
    body = json.dumps({**report, "amount": {"amount": "10.00", "currency": "EUR"}}).encode()
    Caller().post("/webhooks/payments/sandbox", body, X_Signature=Sandbox().sign(body)["X-Signature"])
    bring_to_rest()
    refund = {"payment_reference": "REF-1", "amount": {"amount": "10.00", "currency": "EUR"}}
    noticed(**refund)
    bring_to_rest()
    assert not UnmatchedMoney.objects.exists()
    for _ in range(2):
        assert noticed(**refund, refund="failed", reason="The account is closed.").status_code == 200
    bring_to_rest()
    assert (UnmatchedMoney.objects.get().amount, FailedRefund.objects.get().amount) == (Decimal(10), Decimal(10))
    assert (balance("unmatched"), balance("provider")) == (-10, 10)


def noticed(**notice):
    body = json.dumps({"id": str(uuid4()), "refund": "settled", "reference": "BACK-1", **notice}).encode()
    return Caller().post("/webhooks/payments/sandbox", body, X_Signature=Sandbox().sign(body)["X-Signature"])


def test_more_than_was_received_is_not_recorded():
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    shop.pay(order, 2, reference="REF-1")
    bring_to_rest()
    with nothing_written():
        refused = noticed(payment_reference="REF-1", amount={"amount": "199.01", "currency": "EUR"})
        assert_problem(refused, 409, "refund-too-high")
        unknown = noticed(payment_reference="REF-2", amount={"amount": "1.00", "currency": "EUR"})
        assert_problem(unknown, 404, "not-found")
        assert_problem(noticed(payment_reference="REF-1"), 400, "invalid")
    assert noticed(payment_reference="REF-1", amount={"amount": "199.00", "currency": "EUR"}).status_code == 200
    assert refunds(order) == [("199.00", "settled")]


def test_money_that_nobody_knows_may_go_back_at_the_provider_too():
    report = {"id": "evt-1", "outcome": "accepted", "reference": "REF-1", "payment_id": str(payment_id_of(uuid4()))}
    body = json.dumps({**report, "amount": {"amount": "10.00", "currency": "EUR"}}).encode()
    kept = Caller().post("/webhooks/payments/sandbox", body, X_Signature=Sandbox().sign(body)["X-Signature"]).json()
    bring_to_rest()
    assert noticed(payment_reference="REF-1", amount={"amount": "4.00", "currency": "EUR"}).status_code == 200
    account = repository.get(Account, account_id_of(UUID(kept["payment_id"])))
    assert str(account.left("sandbox/REF-1").amount) == "6.00"
