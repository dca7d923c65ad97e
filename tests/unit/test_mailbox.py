"""What is one mailbox, and to which no mail can be sent."""

import pytest

from ordering.domain.errors import InvalidEmail
from ordering.domain.mailbox import deliverable, mailbox_of, reachable, spellings


@pytest.mark.parametrize(
    "email",
    [
        "Ada@b\u00fccher.example",
        "ada@bu\u0308cher.example",
        "ada@B\u00dcCHER.Example",
        "ada@xn--bcher-kva.example",
        "ada@XN--BCHER-KVA.EXAMPLE",
        " ada@\uff42\u00fccher.example ",
        "ada@b\u00fc\u00adcher.example",
        "ada@b\u00fccher\u3002example",
    ],
)
def test_one_mailbox_has_many_spellings(email: str) -> None:
    assert mailbox_of(email) == "ada@xn--bcher-kva.example"
    assert spellings(email) == ("ada@xn--bcher-kva.example", "ada@b\u00fccher.example")


def test_domains_that_idna_2008_tells_apart_are_two() -> None:
    assert mailbox_of("ada@stra\u00dfe.example") == "ada@xn--strae-oqa.example"
    assert mailbox_of("ada@strasse.example") == "ada@strasse.example"


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        (" Ada@Example.COM ", "Ada@Example.COM"),
        ("ada@bu\u0308cher.example", "ada@b\u00fccher.example"),
        ("ada@XN--bcher-kva.example", "ada@XN--bcher-kva.example"),
        ("ada@B\u00dcCHER.xn--bcher-kva.example", "ada@B\u00dcCHER.xn--bcher-kva.example"),
        ("o'hara+list@localhost", "o'hara+list@localhost"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_an_address_is_shown_as_it_was_given(email: str, shown: str) -> None:
    assert reachable(email) == shown


@pytest.mark.parametrize(
    "email",
    [
        pytest.param("mi\u212ae@example.com", id="Kelvin sign"),
        pytest.param("\u017fam@example.com", id="long s"),
        pytest.param("\u0131da@example.com", id="dotless i"),
        pytest.param("\uff41da@example.com", id="full width"),
        pytest.param("j\u00f6rg@example.com", id="an umlaut"),
        pytest.param("a\u200bda@example.com", id="zero width"),
        pytest.param("a\u00adda@example.com", id="soft hyphen"),
        pytest.param("a\u202eda@example.com", id="bidi override"),
        pytest.param("a\u0007da@example.com", id="control"),
        pytest.param("a da@example.com", id="space"),
        pytest.param("ada@mi\u212ae.example", id="Kelvin sign in the domain"),
        pytest.param("ada@\u017fam.example", id="long s in the domain"),
        pytest.param("ada@\uff45xample.com", id="full width in the domain"),
        pytest.param("ada@exam\u200bple.com", id="zero width in the domain"),
        pytest.param("ada@exam\u00adple.com", id="soft hyphen in the domain"),
        pytest.param("ada@exam\u202eple.com", id="bidi override in the domain"),
        pytest.param("ada@example\u3002com", id="ideographic dot"),
        pytest.param("ada@xn--zzzz999.com", id="no A-label"),
        pytest.param("ada@under_score.com", id="no host name"),
        pytest.param("ada@example.com.", id="dot at the end"),
        pytest.param("ada@" + "\u00e9" * 60 + ".com", id="label too long as an A-label"),
        pytest.param("ada@" + "a" * 64 + ".com", id="label too long"),
        pytest.param("ada@" + ".".join(["a" * 60] * 5), id="domain too long"),
        pytest.param("a" * 65 + "@example.com", id="local part too long"),
        pytest.param("a" * 64 + "@" + ".".join(["a" * 60] * 4), id="too long"),
        pytest.param("ada", id="no domain"),
        pytest.param("@example.com", id="nobody"),
        pytest.param("ada@", id="nowhere"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_no_mail_can_reach_or_only_looks_like_an_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidEmail):
        reachable(email)


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [("Mi\u212aE@Example.com", "mike@example.com"), ("A@Under_score.com", "a@under_score.com"), ("Nobody", "nobody")],
)
def test_what_was_given_before_is_still_one_mailbox_in_any_case(email: str, mailbox: str) -> None:
    assert mailbox_of(email) == mailbox


def test_a_mail_server_is_told_the_domain_that_the_mailbox_has() -> None:
    assert deliverable("Ada@stra\u00dfe.example") == "Ada@xn--strae-oqa.example"
    with pytest.raises(InvalidEmail):
        deliverable("mi\u212ae@example.com")
