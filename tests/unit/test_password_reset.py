"""That somebody asks for a new password is recorded, and for whom is not said."""

from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

import pytest
from django.core.signing import BadSignature, SignatureExpired
from django.utils import timezone

from eventstore.errors import StreamExists
from eventstore.testing import given, when
from ordering.domain.password_reset import PasswordReset, PasswordResetRequested, RequestPasswordReset
from ordering.pages import links

from .samples import ADA

RESET = UUID("01890000-0000-7000-8000-0000000000d1")
REQUEST = RequestPasswordReset(reset_id=RESET, mailbox="5f70")
REQUESTED = PasswordResetRequested(reset_id=RESET, mailbox="5f70")
EMAIL, OLD = "ada@example.com", "pbkdf2_sha256$1$salt$hash"


def token(email: str = EMAIL, password: str = OLD, age: timedelta = timedelta()) -> str:
    return links.password_token(ADA, email, password, timezone.now() - age)


def test_a_request_is_recorded() -> None:
    assert when(PasswordReset(RESET), REQUEST) == [REQUESTED]


def test_a_request_is_made_once() -> None:
    with pytest.raises(StreamExists):
        when(given(PasswordReset, RESET, REQUESTED), REQUEST)


def test_a_token_is_for_a_customer_with_this_address_however_it_is_spelt_and_this_password() -> None:
    link = links.password_link(token())
    assert link.customer_id == ADA
    assert link.is_for("ADA@example.com", OLD)
    assert not link.is_for("king@example.com", OLD)
    assert not link.is_for(EMAIL, "another")


def test_a_token_is_the_same_whenever_it_is_made_and_ends_an_hour_after_it_was_asked_for() -> None:
    since = timezone.now() - timedelta(minutes=59)
    made = links.password_token(ADA, EMAIL, OLD, since)
    assert links.password_token(ADA, EMAIL, OLD, since) == made == quote(made, safe="")
    assert links.password_link(made).customer_id == ADA
    with pytest.raises(SignatureExpired):
        links.password_link(token(age=timedelta(minutes=61)))


def test_no_other_token_leads_to_a_new_password_and_none_that_was_changed() -> None:
    good = token()
    others = [
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        "B" + good[1:],
        "",
        "x.y.z",
        links.profile_token(ADA, EMAIL),
    ]
    for each in others:
        with pytest.raises(BadSignature):
            links.password_link(each)
