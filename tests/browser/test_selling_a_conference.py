"""A conference is sold by one who organizes it, from nothing to the trial balance, as docs/organizers.md tells it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering.domain.customer import RegisterCustomer
from ordering.domain.order import PlaceOrder
from ordering.domain.payment import AcceptPayment, KeepUnmatched, unmatched_payment_id
from ordering.domain.seats import Line
from ordering.domain.values import Money, payment_id_of
from ordering.models import (
    ConferenceSales,
    ConferenceSummary,
    FailedRefund,
    JournalEntry,
    OrderSummary,
    UnmatchedMoney,
)
from tests.browser.pictures import Camera, shown
from tests.integration.processes import eventually

pytestmark = pytest.mark.long

CONFERENCES = "/admin/ordering/conferencesummary/"
ORDERS = "/admin/ordering/ordersummary/"
JOURNAL = "/admin/ordering/journalentry/"
PAYMENTS = "/admin/ordering/conferencesales/"

PAGE = Path(__file__).parents[2] / "docs" / "organizers.md"
PERMISSIONS = re.findall(r"`(ordering\.\w+)`", PAGE.read_text())
"""Those that the page lists, and no others."""


@pytest.fixture(scope="module")
def sold() -> Callable[[], None]:
    """Nothing."""
    return lambda: None


@pytest.fixture
def looks():
    return {"viewport": {"width": 1200, "height": 900}, "locale": "en-GB"}


@pytest.fixture
def camera(page):
    return Camera(page)


@pytest.fixture
def form(page, camera):
    """Press a button, fill in its form and send it: what is given by field, the picture's name, and the word on the
    button that `sends` it where that is another one.
    """

    def send(button, /, *, picture="", scope="", sends="", **given):
        within = page.locator(scope) if scope else page
        within.get_by_role("link", name=button, exact=True).first.click()
        fill(page, **given)
        if picture:
            camera.take(picture, page.locator("form.panel"))
        page.get_by_role("button", name=sends or button, exact=True).click()

    return send


def fill(page, **given):
    for name, value in given.items():
        field = page.locator(f"form.panel [name={name.replace('__', '-')}]")
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(str(value))
        elif field.first.get_attribute("type") == "checkbox":
            page.locator(f"form.panel [name={name}][value={value}]").check()
        else:
            field.fill(str(value))


def euros(amount) -> Money:
    return Money(Decimal(amount), "EUR")


def order(conference: UUID, name: str, seat_type: str, seats: int) -> OrderSummary:
    """What a customer orders at the shop, which is another program and calls the API."""
    customer, order_id = new_id(), new_id()
    dispatch(RegisterCustomer(customer_id=customer, name=name, email=f"{name[0].lower()}@example.org"))
    lines = (Line(seat_type, seats),)
    dispatch(PlaceOrder(order_id=order_id, customer_id=customer, conference_id=conference, lines=lines))
    eventually(StoredEvent.objects.filter(type="payment.requested", data__order_id=str(order_id)).exists)
    eventually(OrderSummary.objects.filter(pk=order_id, status="awaiting_payment").exists)
    return OrderSummary.objects.get(pk=order_id)


def arrives(order: OrderSummary, amount, reference: str) -> None:
    """Money that the provider reports."""
    dispatch(AcceptPayment(payment_id=payment_id_of(order.pk), amount=euros(amount), reference=reference))


def stands(order: OrderSummary, **how) -> Callable[[], bool]:
    return OrderSummary.objects.filter(pk=order.pk, **how).exists


def page_of(row) -> str:
    return f"{ORDERS if isinstance(row, OrderSummary) else CONFERENCES}{row.pk}/change/"


def test_a_conference_is_sold_from_nothing_to_the_trial_balance(page, log_in, camera, form):
    log_in(*PERMISSIONS, name="mia")
    conference = made(page, camera)
    terms_and_seats(page, camera, form, conference)
    money_arrives(page, camera, form, conference)
    money_goes_back(page, camera, form, conference)
    seats_change(page, camera, form, conference)
    sales_close(page, camera, form, conference)
    a_conference_is_cancelled(page, camera, form)
    the_books(page, camera, conference)


def fill_in_schedule(page, name: str, day: str, **given) -> None:
    """Of a conference whose sales have opened yesterday and close the day before it starts."""
    page.goto(CONFERENCES)
    page.get_by_role("link", name="Add").first.click()
    opens_at = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}T09:00"
    starts_at = f"{day}T09:00"
    fill(
        page, name=name, time_zone="Europe/Berlin", opens_at=opens_at, closes_at=starts_at, starts_at=starts_at, **given
    )


def scheduled(page, name: str) -> ConferenceSummary:
    page.get_by_role("button", name="Schedule", exact=True).click()
    expect(page.get_by_text(f"{name} is scheduled.")).to_be_visible()
    return ConferenceSummary.objects.get(name=name)


def seat_type(number: int, code: str, price: int, capacity: int) -> dict[str, object]:
    given = {"code": code, "name": code.capitalize(), "price": price, "capacity": capacity}
    return {f"seats__{number}__{field}": value for field, value in given.items()}


def made(page, camera) -> ConferenceSummary:
    fill_in_schedule(page, "Stream Days", "2031-06-12", place="Berlin", **seat_type(0, "standard", 100, 120))
    page.get_by_role("button", name="Add a seat type").click()
    fill(page, **seat_type(1, "student", 60, 40))
    camera.take("schedule", page.locator("form.panel"))
    return scheduled(page, "Stream Days")


def terms_and_seats(page, camera, form, conference) -> None:
    form("Change the payment terms", within=14, unit="days")
    form("Change the cancellation rule", picture="cancellation-rule", hours=48, percent=10)
    form("Limit customers", max_per_customer=10)
    form("Add a pool", code="hall", name="Hall", capacity=130)
    for seat_type in ("standard", "student"):
        form("Pools", scope=f"[data-seat-type={seat_type}]", sends="Choose pools", pools="hall")
    expect(page.locator("[data-pool=hall]")).to_contain_text("130 of 130 left")
    page.goto(page_of(conference))
    camera.take("conference")


def money_arrives(page, camera, form, conference) -> None:
    balance = page.locator("#money dl strong")
    first = order(conference.pk, "Grace Hopper", "standard", 2)
    page.goto(page_of(first))
    expect(balance).to_have_text(["Still owes", "200.00 EUR"])
    form("Record a payment", picture="record-payment", reference="RF18 5390 0754 7034")
    shown(page, page_of(first), stands(first, status="confirmed", received=200))
    eventually(StoredEvent.objects.filter(type="seats.sold", data__order_id=str(first.pk)).exists)
    page.reload()
    expect(balance).to_have_text(["Still owes", "0.00 EUR"])
    camera.take("order-paid", page.locator("#money"))

    in_part = order(conference.pk, "Ada Lovelace", "standard", 1)
    arrives(in_part, 60, "tx-1001")
    shown(page, page_of(in_part), stands(in_part, received=60))
    expect(balance).to_have_text(["Still owes", "40.00 EUR"])
    camera.take("too-little", page.locator("#money"))
    arrives(in_part, 60, "tx-1002")
    shown(page, page_of(in_part), stands(in_part, status="confirmed", returned=20))
    expect(page.locator("#refunds")).to_contain_text("20.00 EUR")
    camera.take("too-much", page.locator("#refunds"))

    waiting = order(conference.pk, "Barbara Liskov", "standard", 1)
    payment = unmatched_payment_id("sandbox", "tx-1003")
    dispatch(KeepUnmatched(payment_id=payment, provider="sandbox", reference="tx-1003", amount=euros(100)))
    url = f"/admin/ordering/unmatchedmoney/{payment}/change/?order=liskov"
    shown(page, url, UnmatchedMoney.objects.filter(pk=payment).exists)
    camera.take("unmatched", page.locator("#orders"))
    form("Assign")
    eventually(stands(waiting, status="confirmed", received=100))


def money_goes_back(page, camera, form, conference) -> None:
    balance = page.locator("#money dl strong")
    two = order(conference.pk, "Katherine Johnson", "standard", 2)
    arrives(two, 200, "tx-1004")
    shown(page, page_of(two), stands(two, status="confirmed", received=200))
    form("Refund", picture="refund", amount="100", reason="One of them is ill.")
    shown(page, page_of(two), stands(two, returned=100))
    expect(balance).to_have_text(["Less than it costs", "100.00 EUR"])

    student = order(conference.pk, "Edsger Dijkstra", "student", 1)
    arrives(student, 60, "tx-1005")
    shown(page, page_of(student), stands(student, status="confirmed", received=60))
    form("Cancel the order", picture="cancel-order", reason="He wrote that he can't come.")
    shown(page, page_of(student), stands(student, returned=54))
    expect(balance).to_have_text(["Still holds", "6.00 EUR"])


def seats_change(page, camera, form, conference) -> None:
    standard = page.locator("[data-seat-type=standard]")
    sold = partial(ConferenceSummary.objects.filter(pk=conference.pk, seat_types__standard__taken=6).exists)
    shown(page, page_of(conference), sold)
    change = partial(form, scope="[data-seat-type=standard]")
    change("Hold", sends="Hold seats", quantity=5, label="Speakers", reason="They get in free.")
    expect(page.locator("[data-hold]")).to_contain_text("Speakers")
    change("Capacity", sends="Change the capacity", capacity=150)
    expect(standard).to_contain_text("119 of 150 left")
    change("Capacity", sends="Change the capacity", capacity=10, reason="The hall is smaller.")
    expect(page.get_by_role("alert")).to_contain_text("6 are sold, 0 reserved and 5 held: 10 are not enough.")
    camera.take("capacity-refused", page.locator("form.panel"))
    fill(page, capacity=110)
    page.get_by_role("button", name="Change the capacity").click()
    expect(standard).to_contain_text("99 of 110 left")
    camera.take("seats", page.get_by_label("Seat types", exact=True))


def sales_close(page, camera, form, conference) -> None:
    form("Close sales", reason="The programme changes.")
    expect(page.get_by_text("Sales are closed.")).to_be_visible()
    form("Open sales again")
    expect(page.get_by_role("link", name="Close sales")).to_be_visible()


def a_conference_is_cancelled(page, camera, form) -> None:
    fill_in_schedule(page, "Workshop Day", "2031-09-04", **seat_type(0, "seat", 50, 20))
    conference = scheduled(page, "Workshop Day")
    goes_back, fails = (order(conference.pk, name, "seat", 1) for name in ("Donald Knuth", "Frances Allen"))
    arrives(goes_back, 50, "tx-1006")
    arrives(fails, 50, "NOREFUND-1007")
    eventually(stands(goes_back, status="confirmed", received=50))
    shown(page, page_of(conference), stands(fails, status="confirmed", received=50))
    form("Cancel the conference", picture="cancel-conference", reason="The hall has burnt down.", name="Workshop Day")
    eventually(stands(goes_back, status="refunded", returned=50))
    eventually(FailedRefund.objects.filter(order_id=fails.pk).exists)
    shown(page, page_of(conference), stands(fails, status="cancelled"))
    status = page.get_by_role("status")
    expect(status).to_contain_text("The conference is cancelled, and so are its orders. 1 refund failed")
    camera.take("conference-cancelled", status)
    status.get_by_role("link", name="see to it").click()
    page.get_by_role("link", name=fails.number).click()
    form("Made by hand", sends="Mark the refund as made", refund_reference="transfer of 3 March")
    eventually(stands(fails, status="refunded", returned=50))


def the_books(page, camera, conference) -> None:
    eventually(lambda: JournalEntry.objects.filter(event="refund.settled", debit__gt=0).count() == 5)
    page.goto(page_of(conference))
    page.get_by_role("link", name="Figures by day").click()
    (day,) = page.locator("table.status tbody tr").all()
    expect(day).to_contain_text("680.00 EUR")
    expect(day).to_contain_text("174.00 EUR")
    camera.take("figures-by-day", page.locator("section.panel"))

    page.goto(f"{JOURNAL}trial-balance/")
    accounts = page.locator("table.status tbody tr")
    for account, balance in (
        ("held by providers: bank-transfer", "200.00 EUR"),
        ("held by providers: sandbox", "306.00 EUR"),
        ("owed to customers", "100.00 EUR"),
        ("revenue", "600.00 EUR"),
        ("fees", "6.00 EUR"),
        ("Total", "606.00 EUR"),
    ):
        expect(accounts.filter(has_text=account)).to_contain_text(balance)
    camera.take("trial-balance", page.locator("section.panel").last)

    for url, kind, file in (
        (ORDERS, OrderSummary, "orders.csv"),
        (PAYMENTS, ConferenceSales, "payments.csv"),
        (JOURNAL, JournalEntry, "journal.csv"),
    ):
        page.goto(url)
        with page.expect_download() as download:
            page.get_by_role("link", name="Export as CSV").click()
        assert download.value.suggested_filename == file
        assert len(download.value.path().read_text().splitlines()) == 1 + kind.objects.count()
