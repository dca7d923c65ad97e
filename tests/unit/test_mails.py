"""What customers read about their orders: each mail as plain text and as HTML, of events alone."""

from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from django.core.mail import EmailMultiAlternatives
from icalendar import Calendar

from eventstore.aggregates import Aggregate
from eventstore.events import Event
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import ConferenceRenamed, MailNoteChanged, SeatsRenamed
from ordering.domain.order import Order, PaymentCredited
from ordering.domain.order_changes import QuantityChangeOwed
from ordering.domain.seats import PricedLine
from ordering.domain.values import payment_id_of
from ordering.effects import calendar, mail, order_mail
from ordering.providers.bank_transfer import BankTransfer
from ordering.providers.provider import Instructions

from .samples import CONFERENCE, ON_SALE, ORDER, PLACED, euros

A = TypeVar("A", bound=Aggregate)

KEY = UUID("01890000-0000-5000-8000-0000000000e1")
STARTS = datetime(2030, 7, 1, 7, 30, tzinfo=UTC)
IN_BERLIN = msgspec.structs.replace(
    ON_SALE[0], name="Logs & Tails", starts_at=STARTS, time_zone="Europe/Berlin", place="Hall 1; Alexanderplatz, Berlin"
)
NOTE = "Bring <b>your</b> pass.\nAsk hello@example.org."
NOTED = MailNoteChanged(conference_id=CONFERENCE, note=NOTE)
PAID_IN_PART = PaymentCredited(
    order_id=ORDER,
    payment_id=KEY,
    provider="sandbox",
    reference="REF-1",
    amount=euros("300.00"),
    due=euros("98.00"),
)
PAGE = Instructions(pay_url="https://pay.example/?a=1&b=2")
BANK = BankTransfer(holder="Logs Ltd", iban="DE02120300000000202051", bic="BYLADEM1001")
VALUES: dict[str, dict[str, Any]] = {
    "order_received": {"due": euros("398.00"), "how": PAGE},
    "order_reopened": {"due": euros("398.00"), "how": PAGE},
    "payment_due": {"due": euros("98.00"), "how": PAGE},
    "payment_reminder": {"due": euros("398.00"), "how": PAGE},
    "order_confirmation": {},
    "order_refused": {"reason": "sold-out"},
    "order_expired": {},
    "order_cancelled": {},
    "order_changed": {"due": euros("0.00"), "back": euros("99.50")},
    "order_change_owed": {"due": euros("199.00"), "how": PAGE},
    "order_change_lapsed": {"due": euros("0.00")},
    "order_change_refused": {"reason": "sold-out"},
    "order_status": {"due": euros("0.00")},
    "refund_requested": {"amount": euros("12.00")},
    "refund_made": {"amount": euros("12.00")},
    "refund_reversed": {"amount": euros("12.00")},
}


def folded(aggregate: A, *events: Event) -> A:
    for event in events:
        aggregate.evolve(event)
    return aggregate


def composed(template: str, *events: Event, **values: Any) -> tuple[EmailMultiAlternatives, str]:
    """A mail about an order of which these events tell, and its HTML."""
    of_order = [event for event in events if event.stored.startswith("order.")]
    order = folded(Order(ORDER), PLACED, *of_order)
    conference = folded(
        ConferenceSeats(CONFERENCE), IN_BERLIN, *ON_SALE[1:], *(event for event in events if event not in of_order)
    )
    told = order_mail.told(order, conference) | VALUES[template] | values
    made = mail.compose(template, to="ada@example.com", message_id=KEY, **told)
    ((html, kind),) = made.alternatives
    assert kind == "text/html"
    return made, str(html)


@pytest.mark.parametrize("template", VALUES)
def test_every_mail_names_the_order_in_its_subject_and_nobody_at_all(template: str) -> None:
    made, html = composed(template)

    assert PLACED.number in made.subject
    assert "Hello," in made.body
    assert "Hello," in html
    for text in (made.body, html):
        assert PLACED.number in text
        assert "{" not in text.partition("</style>")[2]
    assert "\n\n\n" not in made.body
    assert "src=" not in html


def test_a_welcome_leads_to_the_profile_from_both_parts_and_names_nobody() -> None:
    url = "https://boxoffice.example/profile/a-token"
    made = mail.compose("welcome", to="a@example.org", message_id=KEY, profile_url=url)
    html = str(made.alternatives[0][0])
    assert made.subject == "Welcome to Boxoffice"
    assert "Hello," in made.body
    assert "Hello," in html
    assert url in made.body.splitlines()
    assert f'href="{url}"' in html


def test_both_parts_link_to_the_site(settings: Any) -> None:
    settings.BASE_URL = "https://boxoffice.example"
    made, html = composed("order_status")
    assert "https://boxoffice.example" in made.body.splitlines()
    assert 'href="https://boxoffice.example"' in html


@pytest.mark.parametrize("template", VALUES)
def test_the_organizers_paragraph_is_in_every_mail_and_never_markup(template: str) -> None:
    made, html = composed(template, NOTED)
    assert NOTE in made.body
    assert "Bring &lt;b&gt;your&lt;/b&gt; pass.<br>Ask hello@example.org." in html


def test_without_a_paragraph_there_is_no_gap() -> None:
    made, html = composed("refund_made")
    assert 'border-top:1px solid #e2e8f0;"></p>' not in html
    assert made.body.endswith("on your account.\n\nBoxoffice\n" + made.body.splitlines()[-1] + "\n")


@pytest.mark.parametrize("template", ["order_received", "order_reopened", "payment_due", "payment_reminder"])
def test_a_deadline_is_a_time_of_the_conferences_zone(template: str) -> None:
    made, html = composed(template)
    shown = f"{PLACED.expires_at.astimezone(ZoneInfo('Europe/Berlin')):%H:%M} Europe/Berlin"
    assert shown in made.body
    assert shown in html


def test_a_payment_is_asked_for_by_what_has_come_before_it() -> None:
    unpaid, paid_in_part = folded(Order(ORDER), PLACED), folded(Order(ORDER), PLACED, PAID_IN_PART)
    assert order_mail.asking(unpaid, payment_id_of(ORDER)) == "order_received"
    assert order_mail.asking(unpaid, KEY) == "order_reopened"
    assert order_mail.asking(paid_in_part, KEY) == "payment_due"


def test_who_was_reopened_is_not_told_that_money_has_arrived() -> None:
    made, html = composed("order_reopened")
    for text in (made.body, html):
        assert "is open again" in text
        assert "arrived" not in text


def test_who_has_paid_in_part_is_told_how_much_has_arrived() -> None:
    made, html = composed("payment_due", PAID_IN_PART)
    for text in (made.body, html):
        assert "300.00 EUR have arrived" in text


def test_who_pays_at_a_page_is_led_there() -> None:
    made, html = composed("order_received")
    assert PAGE.pay_url in made.body.splitlines()
    assert 'href="https://pay.example/?a=1&amp;b=2"' in html


def test_who_pays_by_transfer_is_told_the_account_and_the_reference() -> None:
    how = BANK.start(KEY, order_number=PLACED.number, amount=euros("398.00"))
    made, html = composed("order_received", how=how)
    for text in (made.body, html):
        assert "DE02 1203 0000 0000 2020 51" in text
        assert how.reference in text
    assert "Account holder: Logs Ltd<br>IBAN" in html


def test_seats_have_the_names_that_they_had_at_that_moment() -> None:
    renamed = SeatsRenamed(conference_id=CONFERENCE, seat_type="standard", name="Regular & co")
    made, html = composed("order_confirmation", renamed)
    assert "2 x Regular & co, 199.00 EUR each" in made.body
    assert "2 &times; Regular &amp; co" in html


def test_a_confirmation_says_when_and_where_and_what_was_paid() -> None:
    made, html = composed("order_confirmation", PAID_IN_PART)
    for text in (made.body, html):
        assert "1 Jul 2030 09:30 Europe/Berlin" in text
        assert "Hall 1; Alexanderplatz, Berlin" in text
    assert "  Paid: 300.00 EUR" in made.body
    assert "Logs & Tails" in made.body
    assert "Logs &amp; Tails" in html


@pytest.mark.parametrize("template", ["order_expired", "order_cancelled"])
def test_whoever_has_paid_is_told_that_it_goes_back(template: str) -> None:
    for text in (composed(template, PAID_IN_PART)[0].body, composed(template, PAID_IN_PART)[1]):
        assert "What you have paid, 300.00 EUR, goes back to you." in text
    assert "You owe nothing." in composed(template)[0].body


def test_whoever_cancels_is_told_what_is_kept_and_what_goes_back() -> None:
    some = composed("order_cancelled", PAID_IN_PART, fee=euros("20.00"), back=euros("280.00"))
    for text in (some[0].body, some[1]):
        assert "Of what you have paid, 300.00 EUR, 20.00 EUR is kept and 280.00 EUR goes back to you." in text
    everything = composed("order_cancelled", PAID_IN_PART, fee=euros("300.00"), back=euros("0.00"))
    assert "Of what you have paid, 300.00 EUR, 300.00 EUR is kept." in everything[0].body


def test_a_refusal_says_why() -> None:
    assert "has not as many seats left" in composed("order_refused")[0].body
    assert "Logs & Tails is cancelled" in composed("order_refused", reason="conference-cancelled")[0].body


def file(*events: Event, at: datetime = STARTS) -> bytes:
    conference = folded(ConferenceSeats(CONFERENCE), IN_BERLIN, *events)
    return calendar.conference_of_order(conference, order_id=ORDER, number=PLACED.number, at=at)


def test_a_calendar_reads_the_conference_with_its_zone() -> None:
    made = file()
    read = Calendar.from_ical(made)
    (entry,) = read.events
    assert entry["UID"] == f"{ORDER}@boxoffice.localhost"
    assert entry.DTSTART == STARTS
    assert entry["DTSTART"].params["TZID"] == "Europe/Berlin"
    assert [zone.tz_name for zone in read.timezones] == ["Europe/Berlin"]
    assert (entry["SUMMARY"], entry["LOCATION"]) == ("Logs & Tails", "Hall 1; Alexanderplatz, Berlin")
    assert b"LOCATION:Hall 1\\; Alexanderplatz\\, Berlin\r\n" in made


def test_a_name_can_add_nothing_to_a_calendar() -> None:
    odd = ConferenceRenamed(conference_id=CONFERENCE, name="Logs\r\nATTENDEE:mailto:eve@example.org")
    (entry,) = Calendar.from_ical(file(odd)).events
    assert "ATTENDEE" not in entry
    assert entry["SUMMARY"] == "Logs\nATTENDEE:mailto:eve@example.org"


def test_the_same_file_is_made_again() -> None:
    assert file() == file()


OWED = QuantityChangeOwed(
    order_id=ORDER,
    change=1,
    lines=(PricedLine("standard", 3, euros("199.00")),),
    total=euros("597.00"),
    needs=euros("597.00"),
    due=euros("199.00"),
    expires_at=PLACED.expires_at,
    grace=0,
)


@pytest.mark.parametrize("template", ["order_change_owed", "payment_reminder", "order_status"])
def test_who_owes_money_for_a_change_is_told_what_for_how_much_and_until_when(template: str) -> None:
    made, html = composed(template, OWED, due=euros("199.00"))
    until = f"{PLACED.expires_at.astimezone(ZoneInfo('Europe/Berlin')):%H:%M} Europe/Berlin"
    for text in (made.body, html):
        assert "199.00 EUR" in text
        assert "Total: 597.00 EUR" in text or ">597.00 EUR<" in text
        assert until in text
    assert "3 x Standard" in made.body


def test_who_has_paid_a_change_in_part_is_told_that_the_order_may_stay_as_it_was() -> None:
    made, html = composed("payment_due", OWED)
    for text in (made.body, html):
        assert "For the change of your order" in text
        assert "your order stays as it was" in text


def test_who_has_not_paid_a_change_in_time_still_has_the_seats_from_before() -> None:
    made, _ = composed("order_change_lapsed", OWED, due=euros("-50.00"))
    assert "2 x Standard" in made.body
    assert "goes back to you" in made.body


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("sold-out", "were gone"),
        ("customer-limit", "than one customer may have"),
        ("unpaid-limit", "not paid yet"),
        ("conference-cancelled", "cancelled"),
    ],
)
def test_whose_change_could_not_be_had_is_told_why(reason: str, words: str) -> None:
    made, html = composed("order_change_refused", reason=reason)
    for text in (made.body, html):
        assert words in text
    assert "2 x Standard" in made.body


def test_a_change_that_is_owed_is_asked_for_as_such() -> None:
    assert order_mail.asking(folded(Order(ORDER), PLACED, OWED), KEY) == "order_change_owed"
