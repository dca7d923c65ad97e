"""A sale as those see it who run it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.conference_changes import ChangeCancellationRule
from ordering.domain.finance import account_id_of
from ordering.domain.order import CancelOrder
from ordering.domain.payment import AcceptPayment, KeepUnmatched, unmatched_payment_id
from ordering.domain.terms import CancellationRule
from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSummary, FailedRefund, OrderSummary, UnmatchedMoney, WaitlistEntry
from tests.integration import shop
from tests.integration.processes import eventually

VIEW = "ordering.view_ordersummary"
LIST = "/admin/ordering/ordersummary/"


@pytest.fixture
def order(site):
    """Of two seats, which wait for their payment."""
    conference = ConferenceSummary.objects.get(name="PyCon")
    order_id = shop.order(shop.customer("Grace Hopper"), conference.pk, 2)
    eventually(lambda: OrderSummary.objects.filter(pk=order_id, status="awaiting_payment").exists())
    return OrderSummary.objects.get(pk=order_id)


@pytest.fixture
def balance(page):
    """What the page of an order says last of its money: what that is called, and how much it is."""
    return page.locator("#money dl strong")


def page_of(order):
    return f"{LIST}{order.pk}/change/"


def test_a_transfer_is_marked_as_paid_by_whoever_finds_the_order_by_a_mistyped_number(page, log_in, order, balance):
    user = log_in(VIEW, "ordering.record_payment")
    page.goto(LIST)
    page.locator("#searchbar").fill(order.number.removeprefix("BX-").replace("-", " ").replace("1", "l").lower())
    page.locator("#searchbar").press("Enter")
    page.get_by_role("link", name=order.number).click()
    timeline = page.locator("#timeline")
    expect(balance).to_have_text(["Still owes", "199.00 EUR"])
    page.get_by_role("link", name="Record a payment").click()
    expect(page.get_by_label("Amount")).to_have_value("199.00")
    page.get_by_role("button", name="Record a payment").click()
    expect(page.get_by_role("alert")).to_contain_text("This field is required.")
    page.get_by_label("Reference").fill("RF12 3456")
    page.get_by_role("button", name="Record a payment").click()
    eventually(StoredEvent.objects.filter(type="seats.sold", data__order_id=str(order.pk)).exists)
    page.goto(page_of(order))
    expect(balance).to_have_text(["Still owes", "0.00 EUR"])
    arrived = timeline.locator("li").filter(has_text="199.00 EUR arrived by bank transfer, RF12 3456.")
    expect(arrived).to_contain_text(user.username)
    expect(timeline).to_contain_text("The conference has sold 2 × standard.")


def test_one_of_two_seats_is_refunded(page, log_in, order, balance):
    shop.pay(order.pk, 2, reference="PAID")
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).received)
    log_in(VIEW, "ordering.refund_payment")
    page.goto(page_of(order))
    page.locator("[data-receipt=PAID]").get_by_role("link", name="Refund").click()
    expect(page.get_by_text("199.00 EUR by sandbox, PAID")).to_be_visible()
    page.get_by_label("Amount").fill("99.50")
    page.get_by_label("Reason").fill("One of them is ill.")
    page.get_by_role("button", name="Refund").click()
    expect(page.locator("#refunds")).to_contain_text("One of them is ill.")
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).returned)
    page.reload()
    expect(balance).to_have_text(["Less than it costs", "99.50 EUR"])
    expect(page.locator("[data-refund]")).to_contain_text("settled")


def test_one_of_two_seats_of_a_paid_order_is_given_up(page, log_in, order, balance):
    shop.pay(order.pk, 2, reference=f"PAID-{order.number}")
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).status == "confirmed")
    eventually(StoredEvent.objects.filter(type="seats.sold", data__order_id=str(order.pk)).exists)
    user = log_in(VIEW, "ordering.change_quantities")
    page.goto(page_of(order))
    page.get_by_role("link", name="Change", exact=True).click()
    expect(page.get_by_label("Standard")).to_have_value("2")
    page.get_by_label("Standard").fill("1")
    page.get_by_label("Reason").fill("One of them is ill.")
    page.get_by_role("button", name="Change the quantities").click()
    expect(page.get_by_role("alert")).to_contain_text("The order will cost 99.50 EUR: 99.50 EUR go back.")
    page.get_by_role("button", name="Change the quantities").click()
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).returned)
    page.goto(page_of(order))
    expect(balance).to_have_text(["Still owes", "0.00 EUR"])
    asked = page.locator("#timeline li").filter(has_text="The order is to have 1 × standard: One of them is ill.")
    expect(asked).to_contain_text(user.username)
    expect(page.locator("#timeline")).to_contain_text("it costs 99.50 EUR instead of 199.00 EUR.")


def test_a_refund_that_failed_is_tried_again_and_marked_as_made(page, log_in, order, balance):
    dispatch(AcceptPayment(payment_id=payment_id_of(order.pk), amount=shop.PRICE * 2, reference="NOREFUND-1"))
    dispatch(CancelOrder(order_id=order.pk))
    eventually(lambda: FailedRefund.objects.filter(order_id=order.pk).exists())
    log_in(VIEW, "ordering.refund_payment", "ordering.view_failedrefund")
    page.goto("/admin/ordering/failedrefund/")
    page.get_by_role("link", name=order.number).click()
    refund = page.locator("[data-refund]")
    expect(refund).to_contain_text("The sandbox gives nothing back of this.")
    refund.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Try the refund again").click()
    failed = StoredEvent.objects.filter(type="refund.failed", stream_id=account_id_of(order.pk))
    eventually(lambda: failed.count() == 2)
    page.goto(page_of(order))
    expect(page.locator("#timeline")).to_contain_text("go back for the 2nd time")
    refund.get_by_role("link", name="Made by hand").click()
    page.get_by_label("How it went back").fill("cheque 7")
    page.get_by_role("button", name="Mark the refund as made").click()
    expect(refund).to_contain_text("settled")
    expect(refund.get_by_role("link")).to_have_count(0)
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).returned)
    page.reload()
    expect(balance).to_have_text(["Still holds", "0.00 EUR"])


def test_money_that_nobody_knows_is_assigned(page, log_in, order, balance):
    payment = unmatched_payment_id("sandbox", f"tx-{order.number}")
    dispatch(
        KeepUnmatched(payment_id=payment, provider="sandbox", reference=f"tx-{order.number}", amount=shop.PRICE * 2)
    )
    eventually(lambda: UnmatchedMoney.objects.filter(pk=payment).exists())
    log_in(VIEW, "ordering.assign_payment", "ordering.view_unmatchedmoney")
    page.goto(f"/admin/ordering/unmatchedmoney/{payment}/change/")
    page.get_by_role("textbox", name="Order").fill("hopper")
    page.get_by_role("button", name="Search").click()
    page.locator(f"[data-order={order.number}]").get_by_role("link", name="Assign").click()
    expect(page.get_by_text("Still owes")).to_be_visible()
    page.get_by_role("button", name="Assign").click()
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).status == "confirmed")
    page.reload()
    expect(balance).to_have_text(["Still owes", "0.00 EUR"])
    expect(page.locator("#timeline")).to_contain_text("were assigned to the order.")


def test_an_order_is_given_more_time(page, log_in, order):
    log_in(VIEW, "ordering.extend_order")
    page.goto(page_of(order))
    page.get_by_role("link", name="Extend").click()
    expect(page.get_by_text("2 × standard, placed")).to_be_visible()
    page.get_by_label("To be paid until").fill("2020-01-01T12:00")
    page.get_by_label("Reason").fill("The invoice has to be signed.")
    page.get_by_role("button", name="Extend").click()
    expect(page.get_by_role("alert")).to_contain_text("deadline-passed")
    day = timezone.now() + timedelta(days=10)
    page.get_by_label("To be paid until").fill(f"{day:%Y-%m-%d}T18:00")
    page.get_by_role("button", name="Extend").click()
    expect(page.get_by_text("another time until which it is to be paid")).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("The invoice has to be signed.")
    eventually(lambda: f"{OrderSummary.objects.get(pk=order.pk).expires_at:%Y-%m-%d %H:%M}" == f"{day:%Y-%m-%d} 18:00")


def test_who_has_not_seen_a_payment_is_told_of_it_instead_of_extending(page, log_in, order):
    log_in(VIEW, "ordering.extend_order")
    page.goto(page_of(order))
    page.get_by_role("link", name="Extend").click()
    page.get_by_label("Reason").fill("She asked for it.")
    shop.pay(order.pk, 1)
    eventually(StoredEvent.objects.filter(type="order.underpaid", stream_id=order.pk).exists)
    page.get_by_role("button", name="Extend").click()
    expect(page.get_by_role("alert")).to_contain_text("This has changed since you looked at it.")
    expect(page.locator(".changes")).to_contain_text("99.50 EUR were credited to the order")
    expect(page.get_by_label("Reason")).to_have_value("She asked for it.")
    assert not StoredEvent.objects.filter(type="order.extended", stream_id=order.pk).exists()


def test_an_order_is_cancelled_with_a_fee_that_is_told_before(page, log_in, balance):
    conference = shop.conference_on_sale(name="A conference with a fee")
    dispatch(ChangeCancellationRule(conference_id=conference, rule=CancellationRule(percent=10)))
    order = shop.order(shop.customer("Katherine Johnson"), conference, 2)
    shop.pay(order, 2)
    eventually(lambda: OrderSummary.objects.filter(pk=order, status="confirmed", received=199).exists())
    log_in(VIEW, "ordering.cancel_order")
    page.goto(f"{LIST}{order}/change/")
    page.get_by_role("link", name="Cancel the order").click()
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text("Is kept19.90 EURGoes back179.10 EUR")
    expect(page.get_by_label("Kept of its money")).to_have_value("19.90")
    page.get_by_label("Kept of its money").fill("50")
    page.get_by_label("Reason").fill("She is ill.")
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.get_by_role("alert")).to_contain_text("50.00 EUR of it is kept, and 149.00 EUR goes back.")
    expect(facts).to_contain_text("Is kept50.00 EURGoes back149.00 EUR")
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.get_by_text("The order is cancelled.").first).to_be_visible()
    eventually(lambda: OrderSummary.objects.get(pk=order).returned == Decimal(149))
    page.reload()
    expect(balance).to_have_text(["Still holds", "50.00 EUR"])
    expect(page.locator("#refunds")).to_contain_text("149.00 EUR")


def test_who_is_given_priority_is_offered_the_seat_that_becomes_free(page, log_in):
    conference = shop.conference_on_sale(1, name="A conference that is sold out")
    order = shop.order(shop.customer("Emmy Noether"), conference)
    eventually(lambda: OrderSummary.objects.filter(pk=order, status="awaiting_payment").exists())
    first, second = (shop.wait(shop.customer(name), conference) for name in ("Mary Somerville", "Lise Meitner"))
    eventually(lambda: WaitlistEntry.objects.filter(pk=second).exists())
    user = log_in("ordering.view_waitlistentry", "ordering.manage_waitlist")
    page.goto("/admin/ordering/waitlistentry/")
    page.get_by_role("row").filter(has_text="Lise Meitner").get_by_role("link").first.click()
    page.get_by_role("link", name="Set the priority").click()
    expect(page.locator("dl.facts")).to_contain_text("Place in line2")
    page.get_by_label("Priority").fill("5")
    page.get_by_label("Reason").fill("She speaks.")
    page.get_by_role("button", name="Set the priority").click()
    prioritised = page.locator("#timeline li").filter(has_text="priority 5 instead of 0: She speaks.")
    expect(prioritised).to_contain_text(user.username)
    dispatch(CancelOrder(order_id=order))
    eventually(lambda: WaitlistEntry.objects.get(pk=second).status == "offered")
    page.reload()
    expect(page.locator("#timeline")).to_contain_text("1 × standard are offered until")
    page.goto(f"/admin/ordering/waitlistentry/{first}/change/")
    reason = "It was the turn of Lise Meitner (1 × standard), who has priority 5; this entry has 0."
    expect(page.locator("#timeline")).to_contain_text(reason)


def test_without_the_permissions_there_is_no_button(page, log_in, order):
    shop.pay(order.pk, 2)
    eventually(lambda: OrderSummary.objects.get(pk=order.pk).status == "confirmed")
    log_in(VIEW)
    page.goto(page_of(order))
    expect(page.locator("#timeline")).to_contain_text("The order is confirmed.")
    assert page.locator("#content-main .act").all_text_contents() == []
