"""Links that confirm an address: signed, for one address of one customer, and for an hour."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.core.signing import BadSignature, SignatureExpired
from django.utils import timezone

from ordering.pages import links

from .samples import ADA

EMAIL = "ada@example.com"


def token(email: str = EMAIL, number: int = 1, age: timedelta = timedelta()) -> str:
    return links.email_token(ADA, email, number, timezone.now() - age)


def test_a_token_is_for_one_address_of_a_customer() -> None:
    link = links.email_link(token())
    assert link.customer_id == ADA
    assert link.is_for(EMAIL, 1)
    assert not link.is_for("king@example.com", 1)
    assert not link.is_for(EMAIL, 3)


def test_a_token_is_the_same_whenever_it_is_made_and_ends_an_hour_after_it_was_asked_for() -> None:
    since = timezone.now() - timedelta(minutes=59)
    made = links.email_token(ADA, EMAIL, 1, since)
    assert links.email_token(ADA, EMAIL, 1, since) == made == quote(made, safe="")
    assert links.email_link(made).customer_id == ADA
    with pytest.raises(SignatureExpired):
        links.email_link(token(age=timedelta(minutes=61)))


def test_of_an_outdated_token_it_is_known_for_whom_it_was() -> None:
    assert links.former_email_link(token(age=timedelta(days=400))).is_for(EMAIL, 1)


def test_no_other_token_confirms_an_address() -> None:
    good = token()
    others = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        "B" + good[1:],
        "",
        "x.y.z",
        links.profile_token(ADA, EMAIL),
        links.password_token(ADA, EMAIL, "hash", timezone.now()),
    ]
    for each in others:
        for read in (links.email_link, links.former_email_link):
            with pytest.raises(BadSignature):
                read(each)
