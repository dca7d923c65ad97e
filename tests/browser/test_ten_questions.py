"""What those ask who support customers, each answered in at most two clicks from the front page."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.context import acting
from eventstore.models import StoredEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from ordering.domain.order import CancelOrder
from ordering.domain.payment import KeepUnmatched, unmatched_payment_id
from ordering.models import DailySales, OrderSummary, UnmatchedMoney
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.processes import eventually

DOCS = Path(__file__).parents[2] / "docs" / "operating.md"
ROW = re.compile(r"^\| ([^|]+\?) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
MEANT = {"*its number*": re.compile("^BX-"), "*the name*": re.compile("^(Ada Lovelace|PyCon)$")}
"""What of this sale is clicked where the docs say what a link is about."""

ANSWERS = {
    "Why was this order refunded?": ("Timeline", "Cannot come after all."),
    "How much was paid, and what is still owed?": ("Where it stands", "Received199.00 EUR"),
    "Was the confirmation sent, and when?": ("Mails", "Order confirmation"),
    "Who cancelled this order?": ("Timeline", "grace"),
    "What has this customer ordered?": ("Orders", "BX-"),
    "How many seats are left?": ("Seat types", "Standard"),
    "How much was taken on a day?": ("", "199.00 EUR"),
    "Where is money that belongs to no order?": ("", "WHOSE-IS-THIS"),
    "What is wrong, since when, and whose doing is it?": ("", "was paused by grace: The printer is out."),
    "Who of the staff has intervened, and why?": ("", "The printer is out."),
}
"""By question: the part of the page that tells, if it has parts, and what it says here."""


@pytest.fixture(scope="module")
def sold():
    """An order that was paid for, confirmed and cancelled; money that nobody knows; a subscriber that is paused."""

    def sell() -> None:
        from django.contrib.auth.models import User

        grace = f"user:{User.objects.create_user('grace', is_staff=True).pk}"
        order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
        shop.pay(order, 2)
        eventually(Delivery.objects.filter(effect="mail.order-confirmation", status="done").exists)
        unmatched = unmatched_payment_id("bank", "WHOSE-IS-THIS")
        with acting(actor=grace):
            dispatch(CancelOrder(order_id=order, reason="Cannot come after all."))
        dispatch(
            KeepUnmatched(payment_id=unmatched, provider="bank", reference="WHOSE-IS-THIS", amount=shop.PRICE),
        )
        eventually(StoredEvent.objects.filter(type="refund.settled").exists)
        eventually(OrderSummary.objects.filter(pk=order, returned__gt=0).exists)
        eventually(DailySales.objects.exists)
        eventually(UnmatchedMoney.objects.filter(pk=unmatched).exists)
        perform(Pause(target="demographics"), by="grace", reason="The printer is out.")

    return sell


def listed() -> dict[str, list[str]]:
    """By question: the clicks that the docs tell."""
    return {question: clicks.split(" › ") for question, clicks in ROW.findall(DOCS.read_text())}


def test_the_docs_have_the_ten_questions():
    assert listed().keys() == ANSWERS.keys()
    assert len(ANSWERS) == 10


@pytest.mark.parametrize("question", ANSWERS)
def test_it_is_answered_in_two_clicks(page, log_in, question):
    clicks, (part, said) = listed()[question], ANSWERS[question]
    assert len(clicks) <= 2
    log_in(superuser=True)
    for click in clicks:
        page.get_by_role("link", name=MEANT[click] if click in MEANT else re.compile(rf"\b{click}\b")).first.click()
    place = page.get_by_role("region", name=part, exact=True) if part else page.locator("#content, #main").first
    expect(place.first).to_contain_text(said)
