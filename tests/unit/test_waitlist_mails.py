"""What customers read about a waitlist: each mail as plain text and as HTML, of events alone."""

from typing import Any

import msgspec
import pytest
from django.core.mail import EmailMultiAlternatives

from eventstore.testing import NOON, given
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import ConferenceCancelled, SeatsRenamed, SeatsRepriced
from ordering.domain.seats import Line
from ordering.domain.waitlist import Leaving, WaitlistJoined
from ordering.effects import mail, waitlist
from ordering.pages.links import waitlist_url

from .samples import ADA, CONFERENCE, ON_SALE, ORDER, PLACED, euros

IN_BERLIN = msgspec.structs.replace(ON_SALE[0], name="Logs & Tails", time_zone="Europe/Berlin")
JOINED = WaitlistJoined(
    conference_id=CONFERENCE,
    entry_id=ORDER,
    customer_id=ADA,
    lines=(Line("standard", 2), Line("balcony", 1)),
    had=(),
)
VALUES: dict[str, dict[str, Any]] = {
    "waitlist_joined": {"number": ""},
    "waitlist_offered": {"until": NOON},
    "waitlist_lapsed": {"on_sale": True},
    "waitlist_left": {"reason": Leaving.CONFERENCE_CANCELLED, "on_sale": False},
}


def composed(template: str, *events: Any, **values: Any) -> tuple[EmailMultiAlternatives, str]:
    """A mail about an entry, of a conference to which these events happened, and its HTML."""
    conference = given(ConferenceSeats, CONFERENCE, IN_BERLIN, *ON_SALE[1:], *events)
    told = waitlist.told(JOINED, conference, JOINED.lines) | VALUES[template] | values
    made = mail.compose(template, to="ada@example.com", message_id=ADA, **told)
    return made, str(made.alternatives[0][0])


@pytest.mark.parametrize("template", VALUES)
def test_every_mail_names_the_conference_in_its_subject_and_nobody_at_all(template: str) -> None:
    made, html = composed(template)
    assert made.subject.startswith("Logs & Tails")
    assert "Hello," in made.body
    assert "Hello," in html
    assert "Logs & Tails" in made.body
    assert "Logs &amp; Tails" in html
    for text in (made.body, html):
        assert "{" not in text.partition("</style>")[2]
    assert "\n\n\n" not in made.body
    assert "src=" not in html


@pytest.mark.parametrize("template", ["waitlist_joined", "waitlist_offered", "waitlist_lapsed"])
def test_the_seats_are_named_as_they_are_at_that_moment(template: str) -> None:
    renamed = SeatsRenamed(conference_id=CONFERENCE, seat_type="standard", name="Regular & co")
    made, html = composed(template, renamed)
    assert "  2 x Regular & co" in made.body
    assert "  1 x Balcony" in made.body
    assert "2 &times; Regular &amp; co" in html
    assert "1 &times; Balcony" in html


def test_an_offer_says_what_the_seats_cost_until_when_they_are_kept_and_where_one_answers() -> None:
    made, html = composed(
        "waitlist_offered", SeatsRepriced(conference_id=CONFERENCE, seat_type="standard", price=euros("100.00"))
    )
    url = waitlist_url(CONFERENCE, ORDER)
    assert f"until {NOON.day} {NOON:%b %Y}" in made.subject
    for text in (made.subject, made.body, html):
        assert "Europe/Berlin" in text
    for text in (made.body, html):
        assert "100.00 EUR each" in text
        assert "Total: 299.50 EUR" in text
    assert url in made.body.splitlines()
    assert f'href="{url}"' in html


def test_a_mail_to_who_joined_leads_to_where_one_leaves_and_names_the_order_that_was_refused() -> None:
    url = waitlist_url(CONFERENCE, ORDER)
    for number in ("", PLACED.number):
        made, html = composed("waitlist_joined", number=number)
        assert url in made.body.splitlines()
        assert f'href="{url}"' in html
        for text in (made.body, html):
            assert (PLACED.number in text) == bool(number)
            assert "EUR" not in text


def test_who_let_an_offer_pass_may_join_again_while_seats_are_on_sale() -> None:
    for text in (composed("waitlist_lapsed")[0].body, composed("waitlist_lapsed")[1]):
        assert "join the waitlist again, at its end" in text
    for text in (composed("waitlist_lapsed", on_sale=False)[0].body, composed("waitlist_lapsed", on_sale=False)[1]):
        assert "join" not in text
        assert "not on sale any more" in text


def test_who_is_off_the_list_is_told_why() -> None:
    cancelled, _ = composed("waitlist_left")
    assert cancelled.subject == "Logs & Tails is cancelled"
    by_staff, html = composed("waitlist_left", reason=Leaving.STAFF)
    assert by_staff.subject == "Logs & Tails: you are off the waitlist"
    for text in (by_staff.body, html):
        assert "cancelled" not in text.partition("</style>")[2] + text[:40]


def test_who_accepted_what_could_not_be_ordered_any_more_is_told_why_and_what_can_be_done() -> None:
    cancelled = ConferenceCancelled(conference_id=CONFERENCE, reason="Fire.")
    for events, on_sale, words in (
        ((cancelled,), False, "could not be ordered any more, since it is cancelled. You don't wait"),
        ((), False, "could not be ordered any more, since seats are not on sale any more. You don't wait"),
        ((), True, "could not be ordered any more. You don't wait for seats any more; if you still want some, order"),
    ):
        made, html = composed("waitlist_left", *events, reason=Leaving.NOT_ORDERED, on_sale=on_sale)
        assert made.subject == "Logs & Tails: your seats could not be ordered"
        assert words in made.body
        assert words in html


def test_who_waits_when_sales_end_is_told_so() -> None:
    made, html = composed("waitlist_left", reason=Leaving.SALES_ENDED)
    assert made.subject == "Logs & Tails: sales have ended"
    assert "seats of Logs & Tails are not on sale any more." in made.body
    assert "seats of Logs &amp; Tails are not on sale any more." in html
