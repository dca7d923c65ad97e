"""The page of an order: what it says, and what staff do there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.events import Event, catalogue, event
from eventstore.models import StoredEvent
from ordering.admin import timeline
from ordering.admin.acts import StreamAct
from ordering.admin.conference_acts import ACTS as OF_CONFERENCE
from ordering.admin.order_acts import ACTS, OF_FAILED, OF_UNMATCHED
from ordering.domain.conference_changes import CancelConference, ChangeCancellationRule
from ordering.domain.finance import RequestRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.domain.payment import AcceptPayment, KeepUnmatched, unmatched_payment_id
from ordering.domain.terms import CancellableUntil, CancellationRule
from ordering.domain.values import Money, payment_id_of
from ordering.models import FailedRefund, OrderSummary, UnmatchedMoney
from ordering.processes.sale import PAYMENT_TIMER
from ordering.providers.by_hand import TO_PAY_BACK
from projections.operations import REBUILD
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.admin.reading import said, text

pytestmark = pytest.mark.usefixtures("clean")

APP = apps.get_app_config("ordering")
VIEW = "ordering.view_ordersummary"
CANCEL, EXTEND, RECORD, REFUND, ASSIGN = (
    f"ordering.{name}"
    for name in ("cancel_order", "extend_order", "record_payment", "refund_payment", "assign_payment")
)
TRANSFER = {"provider": "bank-transfer", "reference": "RF12 3456"}


@pytest.fixture
def order():
    """Of two seats, which are reserved."""
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    bring_to_rest(deliver=False)
    return order


@pytest.fixture
def unmatched(order):
    """The price of the order, which has come for nothing that is known."""
    payment = unmatched_payment_id("sandbox", "tx-9")
    dispatch(KeepUnmatched(payment_id=payment, provider="sandbox", reference="tx-9", amount=shop.PRICE * 2))
    bring_to_rest()
    return payment


def page(order):
    return reverse("admin:ordering_ordersummary_change", args=[order])


def address(row, act, *key, model="ordersummary"):
    return reverse(f"admin:ordering_{model}_act", args=[row, act, *key])


def fill_in(client, url, **given):
    form = client.get(url).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in {**shown, **given}.items() if value is not None}


def do(client, url, **given):
    answer = client.post(url, fill_in(client, url, **given), follow=True)
    bring_to_rest()
    return answer


def status(order):
    return OrderSummary.objects.get(pk=order).status


def shown(client, order):
    return client.get(page(order)).context


def words(client, order):
    return [entry.words for entry in shown(client, order)["timeline"]]


def offered(client, order):
    """The acts that have a button on the page of an order."""
    body = client.get(page(order)).content.decode()
    return {word for word in ACTS if f"/do/{word}/" in body}


def newest(type_):
    return StoredEvent.objects.filter(type=type_).latest("position")


def test_the_page_tells_the_whole_story_in_words(client, staff, order):
    user = staff(VIEW, RECORD, REFUND, CANCEL, "eventstore.view_storedevent")
    do(client, address(order, "record-payment"), **TRANSFER)
    do(client, address(order, "cancel"), reason="She is ill.")
    number = OrderSummary.objects.get(pk=order).number
    told = words(client, order)
    for each in (
        f"{number} was placed: 2 × standard for 199.00 EUR.",
        "The conference has reserved 2 × standard.",
        "199.00 EUR were asked for, through sandbox.",
        "199.00 EUR arrived by bank transfer, RF12 3456.",
        "Finance has booked 199.00 EUR by bank transfer, RF12 3456.",
        "199.00 EUR were credited to the order: all is paid.",
        "The order is confirmed.",
        "The conference has sold 2 × standard.",
        "The mail “order confirmation” was sent.",
        "The order was cancelled: She is ill.",
        "The conference has got 2 × standard back.",
        "199.00 EUR of RF12 3456 are to go back: The order was cancelled by ada: She is ill.",
        f"The refund of 199.00 EUR of RF12 3456 has failed: {TO_PAY_BACK.reason}",
    ):
        assert told.count(each) == 1, each
    arrived, cancelled = (
        next(entry for entry in shown(client, order)["timeline"] if entry.type == type_)
        for type_ in ("payment.accepted", "order.cancelled")
    )
    assert (arrived.who, cancelled.who) == (user.username, user.username)
    assert "seats.release" in cancelled.steps
    for entry in (arrived, cancelled):
        assert reverse("admin:eventstore_storedevent_change", args=[entry.position]) in text(client.get(page(order)))


def test_the_sums_are_those_of_the_facts(client, staff, order):
    staff(VIEW, REFUND)
    assert shown(client, order)["sums"].balance == ("Still owes", shop.PRICE * 2)
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="HALF"))
    bring_to_rest()
    sums = shown(client, order)["sums"]
    assert (sums.costs, sums.received, sums.returned) == (shop.PRICE * 2, shop.PRICE, shop.PRICE * 0)
    assert sums.balance == ("Still owes", shop.PRICE)
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="OTHER"))
    bring_to_rest()
    assert shown(client, order)["sums"].balance == ("Still owes", shop.PRICE * 0)
    do(client, address(order, "refund", "1"), amount="50.00", reason="Bad seats.")
    sums = shown(client, order)["sums"]
    assert str(sums.returned) == "50.00 EUR"
    assert (sums.balance[0], str(sums.balance[1])) == ("Less than it costs", "50.00 EUR")


def test_a_long_story_takes_no_more_statements_than_a_short_one(client, staff, order):
    staff(superuser=True)

    def statements():
        with CaptureQueriesContext(connection) as asked:
            assert client.get(page(order)).status_code == 200
        return len(asked)

    shop.pay(order, 2)
    bring_to_rest()
    statements()
    short = statements()
    for number in range(5):
        amount = shop.PRICE
        dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=amount, reference=f"NOREFUND-{number}"))
    bring_to_rest()
    for delivery in Delivery.objects.filter(effect="mail.order-confirmation"):
        delivery.pk, delivery.copy = None, 1
        delivery.save()
    assert len(shown(client, order)["refunds"]) == 5
    assert statements() == short <= 15


def be_half_paid_and_on_its_way_back(order):
    shop.pay(order, 1, reference="REF-1")
    bring_to_rest(deliver=False)
    favour = RequestRefund(
        account_id=account_id_of(order), provider="sandbox", reference="REF-1", amount=shop.PRICE, reason="A favour."
    )
    dispatch(favour)


def test_what_is_on_its_way_back_is_still_owed_where_a_payment_is_recorded(client, staff, order):
    staff(VIEW, RECORD)
    be_half_paid_and_on_its_way_back(order)
    form = client.get(address(order, "record-payment")).context["form"]
    assert (dict(form.facts())["Still owes"], form["amount"].value()) == ("199.00 EUR", Decimal(199))


def test_a_payment_is_recorded_and_confirms_the_order(client, staff, order):
    user = staff(VIEW, RECORD)
    url = address(order, "record-payment")
    assert dict(client.get(url).context["form"].facts())["Still owes"] == "199.00 EUR"
    form = fill_in(client, url, **TRANSFER)
    assert Decimal(form["amount"]) == shop.PRICE.amount * 2
    first, second = (client.post(url, form, follow=True) for _ in range(2))
    bring_to_rest()
    assert (said(first), said(second)) == (["The payment is recorded."], ["This was done already."])
    assert status(order) == "confirmed"
    accepted = newest("payment.accepted")
    assert (accepted.actor, accepted.data["provider"], accepted.data["reference"]) == (
        f"staff:{user.pk}",
        "bank-transfer",
        "RF12 3456",
    )
    assert StoredEvent.objects.filter(type="finance.payment-received").count() == 1
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.get_change_message()) == (user, str(order), "Sent payment.accept.")


def test_two_who_record_one_payment_are_told_of_each_other(client, staff, order):
    staff(VIEW, RECORD)
    url = address(order, "record-payment")
    form = fill_in(client, url, provider="bank-transfer", reference="RF12/3456")
    do(client, url, **TRANSFER)
    answer = client.post(url, form)
    assert "This has changed since you looked at it" in text(answer)
    assert "199.00 EUR arrived by bank transfer, RF12 3456." in text(answer)
    assert newest("payment.accepted").data["reference"] == "RF12 3456"
    assert answer.context["form"]["reference"].value() == "RF12/3456"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"amount": "1.005"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"reference": ""}, "reference"),
        ({"reference": "TAKEN"}, "reference"),
    ],
)
def test_a_payment_that_can_not_be_is_refused_at_its_field(client, staff, order, given, field):
    taken = unmatched_payment_id("bank-transfer", "TAKEN")
    dispatch(KeepUnmatched(payment_id=taken, provider="bank-transfer", reference="TAKEN", amount=shop.PRICE))
    staff(VIEW, RECORD)
    answer = do(client, address(order, "record-payment"), **TRANSFER | given)
    assert answer.context["form"].errors[field]
    assert not StoredEvent.objects.filter(type="payment.accepted").exists()


def test_a_late_payment_takes_the_order_up_again(client, staff, order):
    staff(VIEW, RECORD)
    dispatch(ExpireOrder(order_id=order))
    bring_to_rest()
    do(client, address(order, "record-payment"), **TRANSFER)
    assert status(order) == "confirmed"


def test_a_part_of_a_payment_is_given_back_for_a_reason(client, staff, order):
    user = staff(VIEW, REFUND)
    shop.pay(order, 2, reference="PAID")
    bring_to_rest()
    url = address(order, "refund", "1")
    too_much = do(client, url, amount="199.01", reason="x").context["form"]
    assert "refund-too-high" in too_much.errors["amount"][0]
    assert do(client, url, amount="99.50").context["form"].errors["reason"]
    do(client, url, amount="99.50", reason="One seat was broken.")
    assert (newest("refund.requested").actor, newest("refund.settled").data["amount"]["amount"]) == (
        f"staff:{user.pk}",
        "99.50",
    )
    assert status(order) == "confirmed"
    assert dict(client.get(url).context["form"].facts())["Left of it"] == "99.50 EUR"
    do(client, url, reason="The other one too.")
    assert str(shown(client, order)["sums"].returned) == "199.00 EUR"
    assert "refund" not in offered(client, order)
    assert client.get(address(order, "refund", "2")).status_code == 302


def test_a_refund_that_failed_is_tried_again_and_then_made_by_hand(client, staff, order):
    staff(VIEW, REFUND)
    shop.pay(order, 2, reference="NOREFUND-1")
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    ((refund, _),) = shown(client, order)["refunds"]
    assert (refund["status"], "gives nothing back" in refund["error"]) == ("failed", True)
    assert offered(client, order) == {"refund", "retry-refund", "mark-refund-made"}
    do(client, address(order, "retry-refund", refund["key"]))
    assert StoredEvent.objects.filter(type="refund.failed").count() == 2
    do(client, address(order, "mark-refund-made", refund["key"]), refund_reference="cheque 7")
    assert newest("refund.settled").data["refund_reference"] == "cheque 7"
    assert offered(client, order) == set()
    assert shown(client, order)["sums"].balance == ("Still holds", shop.PRICE * 0)
    again = client.get(address(order, "mark-refund-made", refund["key"]))
    assert again.status_code == 200
    assert "refund-already-settled" in text(
        do(client, address(order, "mark-refund-made", refund["key"]), refund_reference="cheque 8")
    )


def test_a_refund_that_failed_is_told_before_another_is_asked_for_and_closed_with_its_money(client, staff, order):
    staff(VIEW, REFUND)
    shop.pay(order, 2, reference="NOREFUND-1")
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    ((first, _),) = shown(client, order)["refunds"]
    refund = address(order, "refund", "1")
    assert dict(client.get(refund).context["form"].facts())["Failed, and waits"] == f"199.00 EUR: {first['reason']}"
    do(client, refund, amount="199.00", reason="Asked for anew.")
    (closed, offers), (other, _) = shown(client, order)["refunds"]
    assert (closed["key"], closed["status"], str(closed["amount"])) == (first["key"], "closed", "199.00 EUR")
    assert "gives nothing back" in closed["error"]
    assert not offers
    assert (other["status"], str(other["amount"])) == ("failed", "199.00 EUR")
    assert "The refund of NOREFUND-1 that failed is closed: its money is not there any more." in words(client, order)
    assert "refund-closed" in text(do(client, address(order, "retry-refund", first["key"])))


def test_a_failed_refund_is_seen_to_on_its_own_page_too(client, staff, order):
    staff(VIEW, REFUND, "ordering.view_failedrefund")
    shop.pay(order, 2, reference="NOREFUND-1")
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    row = FailedRefund.objects.get()
    listed = text(client.get(reverse("admin:ordering_failedrefund_changelist")))
    assert OrderSummary.objects.get(pk=order).number in listed
    url = address(row.pk, "mark-refund-made", str(row.pk), model="failedrefund")
    assert url in text(client.get(reverse("admin:ordering_failedrefund_change", args=[row.pk])))
    answer = do(client, url, refund_reference="cheque 7")
    assert answer.redirect_chain[-1][0] == page(order)
    assert not FailedRefund.objects.exists()


@pytest.mark.parametrize("provider", ["bank-transfer", "by-hand"])
def test_what_staff_recorded_is_listed_at_once_to_be_paid_back_by_hand(client, staff, order, provider):
    staff(VIEW, RECORD, REFUND)
    do(client, address(order, "record-payment"), **TRANSFER | {"provider": provider})
    url = address(order, "refund", "1")
    assert dict(client.get(url).context["form"].facts())["Goes back"] == "by hand: no provider can be asked"
    do(client, url, reason="She is ill.")
    assert FailedRefund.objects.get(order_id=order).reason.startswith("No provider gives this money back.")
    asked = Delivery.objects.get(effect="refund.ask-provider")
    assert (asked.status, asked.attempts) == ("done", 1)
    assert {"mark-refund-made"} == offered(client, order) & {"mark-refund-made", "retry-refund"}


def test_an_order_is_cancelled_for_a_reason_and_says_before_what_goes_back(client, staff, order):
    staff(VIEW, CANCEL)
    shop.pay(order, 2, reference="PAID")
    bring_to_rest()
    url = address(order, "cancel")
    facts = dict(client.get(url).context["form"].facts())
    assert (facts["Order"], facts["Holds"]) == ("2 × standard, confirmed", "199.00 EUR")
    assert do(client, url).context["form"].errors["reason"]
    do(client, url, reason="She is ill.")
    assert (newest("order.cancelled").data["reason"], status(order)) == ("She is ill.", "refunded")
    assert "cancel" not in offered(client, order)


def test_staff_keep_what_the_rule_says_unless_they_say_otherwise(client, staff, order):
    staff(VIEW, CANCEL)
    conference = OrderSummary.objects.get(pk=order).conference_id
    rule = CancellationRule(until=CancellableUntil.NEVER, fixed=Money(Decimal("20.00"), "EUR"))
    dispatch(ChangeCancellationRule(conference_id=conference, rule=rule))
    shop.pay(order, 2)
    bring_to_rest()
    url = address(order, "cancel")
    assert Decimal(client.get(url).context["form"]["keep"].value()) == 20
    assert do(client, url, reason="She is ill.", keep="200").context["form"].errors["keep"]
    facts = dict(client.get(url).context["form"].facts())
    assert (facts["Is kept"], facts["Goes back"]) == ("20.00 EUR", "179.00 EUR")
    told = do(client, url, reason="She is ill.", keep="5.00").context["form"]
    assert "5.00 EUR of it is kept, and 194.00 EUR goes back" in told.non_field_errors()[0]
    assert dict(told.facts())["Goes back"] == "194.00 EUR"
    assert not StoredEvent.objects.filter(type="order.cancelled").exists()
    client.post(url, {name: told[name].value() for name in told.fields})
    bring_to_rest()
    shown = OrderSummary.objects.get(pk=order)
    assert (shown.status, shown.received - shown.returned) == ("refunded", Decimal(5))


def test_the_quantities_of_an_order_are_changed_once_it_is_said_what_comes_of_it(client, staff, order):
    staff(VIEW, "ordering.change_quantities")
    shop.pay(order, 2, reference="PAID")
    bring_to_rest()
    assert "quantities" in offered(client, order)
    url = address(order, "quantities")
    given = fill_in(client, url, reason="She is ill.", **{"seats-standard": 1})
    asked = client.post(url, given)
    assert "The order will cost 99.50 EUR: 99.50 EUR go back." in text(asked)
    assert not StoredEvent.objects.filter(type="order.quantity-change-requested").exists()
    agreed = {**given, "agreed": asked.context["form"]["agreed"].value()}
    client.post(url, agreed)
    bring_to_rest()
    row = OrderSummary.objects.get(pk=order)
    assert (row.status, row.total, row.received - row.returned) == ("confirmed", Decimal("99.5"), Decimal("99.5"))
    assert newest("order.quantity-change-requested").data["reason"] == "She is ill."
    assert "The order has 1 × standard now: it costs 99.50 EUR instead of 199.00 EUR." in text(client.get(page(order)))


def test_money_that_staff_kept_pays_for_a_part_of_a_change_or_for_all_of_it(client, staff, order, settings):
    settings.PAYMENT_EXCESS = {"sandbox": "staff"}
    staff(VIEW, "ordering.change_quantities")
    shop.pay(order, 2, reference="PAID")
    more = Money(Decimal("100.00"), "EUR")
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=more, reference="MORE"))
    bring_to_rest()
    url = address(order, "quantities")
    all_there = client.post(url, fill_in(client, url, reason="More come.", **{"seats-standard": 3}))
    said = "The order will cost 298.50 EUR, which is 99.50 EUR more than now: all of it is there."
    assert said in text(all_there)
    given = fill_in(client, url, reason="More come.", **{"seats-standard": 4})
    asked = client.post(url, given)
    assert "The order will cost 398.00 EUR once 99.00 EUR are paid, which is 199.00 EUR more than now." in text(asked)
    client.post(url, {**given, "agreed": asked.context["form"]["agreed"].value()})
    bring_to_rest()
    assert OrderSummary.objects.get(pk=order).due == Decimal("99.00")


def test_a_paid_order_that_comes_to_cost_more_owes_the_difference_and_is_given_more_time(client, staff, order):
    staff(VIEW, EXTEND, "ordering.change_quantities")
    shop.pay(order, 2, reference="PAID")
    bring_to_rest()
    assert "extend" not in offered(client, order)
    url = address(order, "quantities")
    given = fill_in(client, url, reason="More come.", **{"seats-standard": 3})
    asked = client.post(url, given)
    assert "The order will cost 298.50 EUR once 99.50 EUR are paid, which is 99.50 EUR more than now." in text(asked)
    client.post(url, {**given, "agreed": asked.context["form"]["agreed"].value()})
    bring_to_rest()
    shown = text(client.get(page(order)))
    assert "The order has 3 × standard as soon as 99.50 EUR are paid, until " in shown
    assert client.get(page(order)).context["sums"].balance == ("Still owes for a change", shop.PRICE)
    facts = dict(client.get(address(order, "extend")).context["form"].facts())
    assert facts["Owes for a change"] == "99.50 EUR to have 3 × standard"
    later = timezone.now().replace(microsecond=0, second=0) + timedelta(days=3)
    do(client, address(order, "extend"), expires_at=later.strftime("%Y-%m-%dT%H:%M"), reason="She is ill.")
    (timer,) = Timer.objects.filter(status="waiting", name=PAYMENT_TIMER)
    assert timer.due_at == later
    let_pass(timedelta(days=4))
    bring_to_rest()
    assert "The change was not paid in time: the order still has 2 × standard." in text(client.get(page(order)))


def test_quantities_that_can_not_be_are_refused_at_the_form(client, staff, order):
    staff(VIEW, "ordering.change_quantities")
    url = address(order, "quantities")
    for quantity, code in ((0, "invalid-quantity"), (2, "quantities-unchanged"), (11, "too-many-seats")):
        given = fill_in(client, url, reason="She is ill.", **{"seats-standard": quantity})
        answer = client.post(url, given)
        given["agreed"] = answer.context["form"]["agreed"].value() or ""
        assert code in text(client.post(url, given))
    assert not StoredEvent.objects.filter(type="order.quantity-change-requested").exists()
    assert client.post(url, fill_in(client, url, **{"seats-standard": 1})).context["form"].errors["reason"]


def test_an_order_is_given_more_time(client, staff, order):
    staff(VIEW, EXTEND)
    later = timezone.now().replace(microsecond=0, second=0) + timedelta(days=3)
    assert do(client, address(order, "extend"), expires_at="2020-01-01T12:00", reason="Ill.").context["form"].errors
    do(client, address(order, "extend"), expires_at=later.strftime("%Y-%m-%dT%H:%M"), reason="She is ill.")
    assert OrderSummary.objects.get(pk=order).expires_at == later
    (timer,) = Timer.objects.filter(status="waiting", name=PAYMENT_TIMER)
    assert timer.due_at == later


def test_an_order_that_has_expired_is_reopened(client, staff, order):
    staff(VIEW, EXTEND)
    assert "reopen" not in offered(client, order)
    dispatch(ExpireOrder(order_id=order))
    assert "extend" not in offered(client, order)
    do(client, address(order, "reopen"), reason="The bank was slow.")
    assert status(order) == "awaiting_payment"
    shop.pay(order, 2)
    assert status(order) == "confirmed"


def test_who_has_not_seen_the_payment_does_not_cancel_the_order(client, staff, order):
    staff(VIEW, CANCEL)
    form = fill_in(client, address(order, "cancel"), reason="Nobody pays.")
    shop.pay(order, 2, reference="PAID")
    bring_to_rest()
    answer = client.post(address(order, "cancel"), form)
    assert answer.context["changes"] == [
        "199.00 EUR were credited to the order: all is paid.",
        "The order is confirmed.",
    ]
    again = answer.context["form"]
    client.post(address(order, "cancel"), {name: again[name].value() for name in again.fields})
    bring_to_rest()
    assert status(order) == "refunded"


def test_money_that_nobody_knows_is_assigned_to_an_order_whose_number_is_mistyped(client, staff, order, unmatched):
    user = staff(VIEW, ASSIGN, "ordering.view_unmatchedmoney")
    number = OrderSummary.objects.get(pk=order).number
    url = reverse("admin:ordering_unmatchedmoney_change", args=[unmatched])
    assert list(client.get(url).context["found"]) == []
    mistyped = number.removeprefix("BX-").replace("-", " ").lower()
    assert [found.number for found, _ in client.get(url, {"order": mistyped}).context["found"]] == [number]
    act = address(unmatched, "assign", str(order), model="unmatchedmoney")
    assert act in text(client.get(url, {"order": mistyped}))
    assert dict(client.get(act).context["form"].facts())["Still owes"] == "199.00 EUR"
    answer = do(client, act)
    assert answer.redirect_chain[-1][0] == page(order)
    assert (newest("payment.assigned").actor, status(order)) == (f"staff:{user.pk}", "confirmed")
    assert "199.00 EUR arrived by sandbox, tx-9, and nobody knew for what." in words(client, order)
    assert not UnmatchedMoney.objects.exists()
    assert address(unmatched, "assign", str(new_id()), model="unmatchedmoney")


def test_what_is_on_its_way_back_is_still_owed_where_money_is_assigned(client, staff, order, unmatched):
    staff(VIEW, ASSIGN, "ordering.view_unmatchedmoney")
    be_half_paid_and_on_its_way_back(order)
    act = address(unmatched, "assign", str(order), model="unmatchedmoney")
    assert dict(client.get(act).context["form"].facts())["Still owes"] == "199.00 EUR"


def test_money_that_nobody_knows_is_sent_back(client, staff, unmatched):
    staff(ASSIGN, "ordering.view_unmatchedmoney")
    url = address(unmatched, "send-back", model="unmatchedmoney")
    assert url in text(client.get(reverse("admin:ordering_unmatchedmoney_change", args=[unmatched])))
    assert dict(client.get(url).context["form"].facts()) == {"Goes back": "199.00 EUR of tx-9"}
    do(client, url, reason="Nobody has ordered anything.")
    assert newest("refund.settled").data["order_id"] is None
    assert not UnmatchedMoney.objects.exists()


def test_a_mail_is_sent_once_more(client, staff, order):
    staff(VIEW, "sagas.copy_delivery", "sagas.view_delivery")
    shop.pay(order, 2)
    bring_to_rest()
    *_, (row, name, offers) = shown(client, order)["mails"]
    assert (name, row.status, [each.label for each in offers]) == ("order confirmation", "done", ["Send a copy"])
    confirmation = client.get(offers[0].url)
    hidden = dict(confirmation.context["hidden"])
    client.post(offers[0].url, hidden | {"reason": "She has lost it."})
    bring_to_rest()
    mails = shown(client, order)["mails"]
    assert [row.copy for row, name, _ in mails if name == "order confirmation"] == [0, 1]
    assert words(client, order).count("The mail “order confirmation” was sent.") == 2


def test_a_mail_that_failed_is_part_of_the_story(client, staff, order):
    staff(VIEW)
    shop.pay(order, 2)
    bring_to_rest(deliver=False)
    Delivery.objects.filter(effect="mail.order-confirmation").update(status="failed", error="The server is away.")
    assert "The mail “order confirmation” failed: The server is away." in words(client, order)


def test_of_a_long_story_the_last_entries_are_told(client, staff, order, monkeypatch):
    staff(VIEW)
    told = words(client, order)
    monkeypatch.setattr(timeline, "SHOWN", 2)
    assert words(client, order) == told[-2:]
    assert f"{len(told) - 2} earlier events are left out" in text(client.get(page(order)))


def test_a_command_that_is_stuck_is_shown(client, staff, order):
    staff(VIEW)
    assert "Commands that are not through" not in text(client.get(page(order)))
    OutboxCommand.objects.filter(type="payment.request").update(status="parked", error="OSError: no room")
    assert "OSError: no room" in text(client.get(page(order)))


def test_what_only_newer_code_can_read_is_no_fault_of_the_page(client, staff, order):
    @event("order.from-the-future")
    class FromTheFuture(Event):
        pass

    version = store.version_of(order)
    store.append(store.Changes(stream_id=order, category="order", expected=version, events=[FromTheFuture()]))
    catalogue.unregister(FromTheFuture)
    staff(VIEW)
    answer = client.get(page(order))
    assert (answer.status_code, said(answer)) == (
        200,
        ["A newer version of this program has recorded what this one can't read."],
    )


def test_timers_tell_what_happens_when(client, staff, order):
    staff(VIEW, "sagas.resolve_timer")
    ((timer, offers),) = shown(client, order)["timers"]
    assert (timer.name, timer.type, timer.status) == ("payment-window", "order.expire", "waiting")
    assert [each.label for each in offers] == ["Move", "Cancel"]


def test_who_may_only_look_has_no_buttons_and_changes_nothing(client, staff, order, unmatched):
    staff(VIEW, "ordering.view_unmatchedmoney", "ordering.change_ordersummary")
    shop.pay(order, 2)
    bring_to_rest()
    head = StoredEvent.objects.latest("position").position
    assert offered(client, order) == set()
    assert "/do/" not in text(client.get(reverse("admin:ordering_unmatchedmoney_change", args=[unmatched])))
    urls = [address(order, word, "1") for word in ACTS]
    urls += [address(unmatched, word, str(order), model="unmatchedmoney") for word in OF_UNMATCHED]
    for url in urls:
        assert (client.get(url).status_code, client.post(url).status_code) == (403, 403), url
    assert StoredEvent.objects.latest("position").position == head


def test_what_is_not_there_is_not_found(client, staff, order):
    staff(VIEW, REFUND, CANCEL)
    for url in (address(order, "dance"), address(new_id(), "cancel")):
        assert client.get(url).status_code == 404, url
    for key in ("9", "0", "x", str(new_id())):
        assert client.get(address(order, "refund", key)).status_code == 302, key
    assert client.get(address(order, "retry-refund", "1")).status_code == 302


@pytest.mark.parametrize("act", [act for acts in (ACTS, OF_UNMATCHED, OF_FAILED) for act in acts.values()])
def test_every_act_has_a_permission_of_its_own_kind(act):
    assert issubclass(act, StreamAct)
    assert act.permission not in {each.permission for each in OF_CONFERENCE.values()}
    assert act.permission not in {f"ordering.change_{model._meta.model_name}" for model in APP.get_models()}


def reasons(client, order):
    """Why money was to go back, and who asked for that, by the panel of refunds."""
    return [(each["reason"], each["who"]) for each, _ in shown(client, order)["refunds"]]


def test_why_an_order_was_refunded_is_said_with_who_cancelled_it(client, staff, order):
    user = staff(VIEW, CANCEL, RECORD)
    do(client, address(order, "record-payment"), **TRANSFER)
    do(client, address(order, "cancel"), reason="She is ill.")
    why = f"The order was cancelled by {user.username}: She is ill."
    assert reasons(client, order) == [(why, "by itself")]
    assert f"199.00 EUR of RF12 3456 are to go back: {why}" in words(client, order)


def test_why_an_order_of_a_cancelled_conference_was_refunded(client, staff, order):
    shop.pay(order, 2)
    bring_to_rest()
    dispatch(CancelConference(conference_id=OrderSummary.objects.get().conference_id, reason="The hall has burnt."))
    bring_to_rest()
    staff(VIEW)
    assert reasons(client, order) == [("The order was cancelled: The conference is cancelled.", "by itself")]


def test_why_an_order_was_refunded_that_was_paid_twice_or_too_late(client, staff, order):
    shop.pay(order, 2, reference="ONE")
    shop.pay(order, 2, reference="TWO")
    bring_to_rest()
    staff(VIEW)
    assert reasons(client, order) == [("The order cost less than was paid. It was paid 2 times.", "by itself")]


def test_what_staff_give_back_says_their_reason_and_who_they_are(client, staff, order):
    shop.pay(order, 2)
    bring_to_rest()
    user = staff(VIEW, REFUND)
    do(client, address(order, "refund", "1"), amount="50.00", reason="Bad seats.")
    assert reasons(client, order) == [("Bad seats.", user.username)]


def test_the_page_names_the_order_and_says_until_when_it_is_to_be_paid(client, staff, order):
    staff(VIEW)
    number = OrderSummary.objects.get().number
    page_of_it = text(client.get(page(order)))
    assert f"<title> Order {number} |" in page_of_it
    assert "expires in 1" in page_of_it.replace("\xa0", " ")
    assert "Derived rows" not in page_of_it
    assert 'id="sagas"' not in page_of_it


def test_the_page_leads_to_the_sagas_and_the_rows_of_the_order(client, staff, order):
    staff(VIEW, "sagas.view_instance", "eventstore.view_subscriberrow", "ordering.view_dailysales", REBUILD)
    shop.pay(order, 2)
    bring_to_rest()
    page_of_it = text(client.get(page(order)))
    assert reverse("admin:sagas_history", args=["sale", order]) in page_of_it
    assert reverse("admin:sagas_history", args=["booking", payment_id_of(order)]) in page_of_it
    rows = {each.name: each for each in client.get(page(order)).context["derived"]}
    assert {"order-summaries", "sales-by-day", "sales-by-conference", "journal", "seat-availability"} <= rows.keys()
    assert all(each.row.is_current for each in rows.values())
    assert rows["sales-by-day"].url == reverse("admin:ordering_dailysales_change", args=[rows["sales-by-day"].row.key])
    assert [offer.label for offer in rows["order-summaries"].offers] == ["Rebuild this row"]


def test_sales_by_conference_are_called_by_their_orders_and_conferences(client, staff, order):
    shop.pay(order, 2)
    bring_to_rest()
    staff("ordering.view_conferencesales")
    listed = text(client.get(reverse("admin:ordering_conferencesales_changelist")))
    row = OrderSummary.objects.get()
    assert f">{row.number}</a>" in listed
    assert ">PyCon</a>" in listed
    assert "<title> Sales by conference |" in listed
