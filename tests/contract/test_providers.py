"""What any payment provider must do, whoever it is; among them the one that the page about providers shows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ordering.providers.bank_transfer import BankTransfer
from ordering.providers.provider import InvalidSignature, Provider, RefundAnswer
from ordering.providers.stripe import Stripe
from tests.integration.stripe_server import SECRET_KEY, WEBHOOK_SECRET, StripeServer
from tests.unit.samples import euros
from tests.unit.test_readme import blocks

PAYMENT = UUID("05c3a2e1-9b31-50b8-abaa-d8de6c724b82")
PAGE = Path(__file__).parents[2] / "docs" / "payment-providers.md"


def shown() -> Provider:
    """The one of the page."""
    names: dict[str, Any] = {}
    (block,) = blocks(PAGE, "One more provider")
    exec(block, names)  # noqa: S102
    provider: Provider = names["Acme"](b"secret")
    return provider


@pytest.fixture(params=["bank transfer", "stripe", "the one of the page"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    if request.param == "bank transfer":
        yield BankTransfer(holder="Boxoffice Ltd", iban="DE89370400440532013000", bic="COBADEFFXXX")
    elif request.param == "the one of the page":
        yield shown()
    else:
        with StripeServer().running() as server:
            yield Stripe(
                secret_key=SECRET_KEY,
                webhook_secret=WEBHOOK_SECRET,
                return_url="https://boxoffice.example",
                api_url=server.url,
            )


def test_it_tells_a_customer_how_to_pay_and_the_same_when_asked_again(provider):
    first, second = (provider.start(PAYMENT, order_number="BX-7K3M-9QWE", amount=euros("398")) for _ in range(2))
    assert first == second
    assert first.pay_url or (first.reference and first.reference in first.text)


@pytest.mark.parametrize("headers", [{}, {"X-Signature": "0" * 64}, {"Stripe-Signature": "t=1,v1=ü"}])
def test_it_believes_nobody_whose_signature_is_not_its_own(provider, headers):
    with pytest.raises(InvalidSignature):
        provider.verify(headers, b"{}")


@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b"[1]", json.dumps({"type": 1}).encode()])
def test_a_body_of_another_shape_is_a_value_error(provider, body):
    with pytest.raises(ValueError, match=r"."):
        provider.reports(body)


def test_a_refund_has_an_answer_and_the_same_under_the_same_key(provider):
    key = uuid4()
    first, second = (provider.refund("unknown", euros("1"), key=key) for _ in range(2))
    assert isinstance(first, RefundAnswer)
    assert first == second


def test_it_reports_nothing_about_a_payment_that_it_does_not_know(provider):
    assert list(provider.look_up(uuid4())) == []


def test_it_has_a_name_that_may_stand_in_an_address(provider):
    assert provider.name.replace("-", "").isalnum()
    assert provider.name == provider.name.lower()


def test_its_representation_holds_no_key(provider):
    assert not [secret for secret in (SECRET_KEY, WEBHOOK_SECRET) if secret in repr(provider)]
