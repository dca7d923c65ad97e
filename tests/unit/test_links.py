import time
from datetime import timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.core import signing
from django.utils import timezone

from ordering.pages import links

ADA, EMAIL = uuid4(), "ada@example.org"


def signed(age: timedelta = timedelta(), salt: str = links.SALT) -> str:
    """A token as it was made that long ago."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", (timezone.now() - age).timestamp)
        patch.setattr(links, "SALT", salt)
        return links.profile_token(ADA, EMAIL)


def test_a_token_with_a_time_is_the_same_whenever_it_is_made_and_expires_from_then_on(settings):
    settings.PROFILE_LINK_DAYS = 30
    since = timezone.now() - timedelta(days=29)
    with pytest.MonkeyPatch.context() as patch:
        token = links.profile_token(ADA, EMAIL, since)
        patch.setattr(time, "time", (timezone.now() + timedelta(hours=1)).timestamp)
        assert links.profile_token(ADA, EMAIL, since) == token
    assert links.profile_link(token).customer_id == ADA
    with pytest.raises(signing.SignatureExpired):
        links.profile_link(links.profile_token(ADA, EMAIL, since - timedelta(days=2)))


def test_a_link_is_absolute_and_leads_back_to_its_customer(settings):
    settings.BASE_URL = "https://boxoffice.example"
    site, _, token = links.profile_url(ADA, EMAIL).rpartition("/")
    assert site == "https://boxoffice.example/profile"
    assert links.profile_link(token).customer_id == ADA


def test_a_token_is_short_and_needs_no_quoting_in_an_address():
    tokens = [links.profile_token(uuid4(), EMAIL) for _ in range(200)]
    assert {len(token) for token in tokens} == {83}
    assert [quote(token, safe="") for token in tokens] == tokens


def test_a_token_ends_with_a_letter_or_a_digit_so_that_mail_programs_take_all_of_it_for_the_address():
    assert all(links.profile_token(uuid4(), EMAIL)[-1].isalnum() for _ in range(200))


@pytest.mark.parametrize("token", ["", "x", ".", "..", "a.b.c", "\0", "ä" * 73, "0190b3a0-0000-7000-8000-000000000000"])
def test_what_we_did_not_sign_opens_nothing(token):
    with pytest.raises(signing.BadSignature):
        links.profile_link(token)


def test_a_token_opens_nothing_once_a_character_of_it_was_changed():
    token = links.profile_token(ADA, EMAIL)
    for place, character in enumerate(token):
        changed = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        with pytest.raises(signing.BadSignature):
            links.profile_link(changed)


def test_what_was_signed_for_another_purpose_opens_nothing():
    with pytest.raises(signing.BadSignature):
        links.profile_link(signed(salt="another"))


def test_a_token_is_good_for_good_unless_a_setting_says_otherwise(settings):
    settings.PROFILE_LINK_DAYS = 0
    assert links.profile_link(signed(timedelta(days=10_000))).customer_id == ADA
    settings.PROFILE_LINK_DAYS = 30
    assert links.profile_link(signed(timedelta(days=29))).customer_id == ADA
    with pytest.raises(signing.SignatureExpired):
        links.profile_link(signed(timedelta(days=31)))


def test_a_link_to_an_entry_of_a_waitlist_leads_back_to_it_and_is_the_same_each_time():
    conference, entry = uuid4(), uuid4()
    _, _, token = links.waitlist_url(conference, entry).rpartition("/")
    assert links.waitlist_entry_of(token) == (conference, entry)
    assert links.waitlist_token(conference, entry) == token == quote(token, safe="")
    assert token[-1].isalnum()


def test_no_other_link_leads_to_an_entry_of_a_waitlist():
    for token in ("", "x", "a.b", "\0", links.payment_token(ADA), links.profile_token(ADA, EMAIL)):
        with pytest.raises(signing.BadSignature):
            links.waitlist_entry_of(token)
