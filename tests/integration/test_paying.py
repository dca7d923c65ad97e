"""How a customer pays: which providers there are, and what is told of the one that is taken."""

from uuid import UUID

import pytest

from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.conference_changes import ChangeProviders
from ordering.domain.order import ExpireOrder
from ordering.domain.payment import further_payment_id
from ordering.domain.values import payment_id_of
from ordering.models import OrderSummary
from ordering.pages.links import payment_token
from ordering.providers.references import reference_of
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import assert_problem, placing

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def account(settings):
    settings.BANK_TRANSFER_HOLDER, settings.BANK_TRANSFER_BIC = "Boxoffice Ltd", "COBADEFFXXX"
    settings.BANK_TRANSFER_IBAN = "DE89370400440532013000"


@pytest.fixture
def conference():
    return shop.conference_on_sale()


@pytest.fixture
def ada():
    return callers.customer()


def choose(conference, *providers):
    dispatch(ChangeProviders(conference_id=conference, providers=providers))


def placed(ada, conference, **more):
    customer, caller = ada
    return caller.post("/orders", {**placing(customer, conference, 2), **more})


def test_a_conference_says_by_whom_its_orders_are_paid(conference, ada, account):
    _, caller = ada
    assert caller.get(f"/conferences/{conference}").json()["providers"] == ["sandbox"]
    choose(conference, "stripe", "bank-transfer")
    assert caller.get(f"/conferences/{conference}").json()["providers"] == ["bank-transfer"]


def test_a_provider_that_is_not_installed_or_not_offered_is_refused_with_those_that_are(conference, ada, account):
    unknown = placed(ada, conference, provider="paypal")
    assert_problem(unknown, 400, "invalid")
    assert unknown.json()["errors"][0]["detail"] == "One of: sandbox, bank-transfer."
    refused = placed(ada, conference, provider="bank-transfer")
    assert_problem(refused, 409, "provider-not-offered")
    assert "one of: sandbox." in refused.json()["detail"]
    choose(conference, "bank-transfer")
    assert_problem(placed(ada, conference, provider="sandbox"), 409, "provider-not-offered")


def test_who_pays_by_transfer_is_told_where_to(conference, ada, account):
    choose(conference, "sandbox", "bank-transfer")
    order = placed(ada, conference, provider="bank-transfer").json()
    how = order["payment"]["how_to_pay"]
    assert order["payment"]["pay_url"] is None
    assert (how["provider"], how["reference"]) == ("bank-transfer", reference_of(payment_id_of(UUID(order["id"]))))
    assert "DE89 3704 0044 0532 0130 00" in how["text"]
    _, caller = ada
    assert caller.post(f"/orders/{order['id']}/payments").json()["reference"] == how["reference"]


def test_stripe_is_asked_when_the_customer_wants_to_pay_and_always_for_the_same(client, conference, ada, stripe):
    choose(conference, "stripe")
    order = placed(ada, conference).json()
    assert not stripe.sessions
    _, caller = ada
    token = payment_token(payment_id_of(UUID(order["id"])))
    assert order["payment"]["pay_url"].endswith(f"/pay/{token}")
    pages = [caller.post(f"/orders/{order['id']}/payments").json()["pay_url"] for _ in range(2)]
    pages += [client.get(f"/pay/{token}").headers["Location"] for _ in range(2)]
    assert pages == ["https://checkout.example/cs_1"] * 4
    assert len(stripe.sessions) == 1


def test_another_provider_can_be_taken_when_paying(conference, ada, stripe, account):
    choose(conference, "stripe", "bank-transfer")
    order = placed(ada, conference).json()
    _, caller = ada
    for _ in range(2):
        how = caller.post(f"/orders/{order['id']}/payments", {"provider": "bank-transfer"}).json()
        assert (how["provider"], how["payment_id"]) == (
            "bank-transfer",
            str(further_payment_id(UUID(order["id"]), 1)),
        )
    shown = caller.get(f"/orders/{order['id']}").json()
    assert shown["payment"]["how_to_pay"]["reference"] == how["reference"]
    assert [each["how_to_pay"] is None for each in shown["payments"]] == [True, False]
    assert StoredEvent.objects.filter(type="payment.requested").count() == 2
    shop.pay(UUID(order["id"]), 2)
    assert OrderSummary.objects.get(pk=order["id"]).status == "confirmed"
    assert_problem(caller.post(f"/orders/{order['id']}/payments"), 409, "order-not-payable")


def test_a_provider_that_is_away_is_said_to_be(client, conference, ada, stripe):
    choose(conference, "stripe")
    order = placed(ada, conference).json()
    _, caller = ada
    stripe.failing = [500, 500]
    assert_problem(caller.post(f"/orders/{order['id']}/payments"), 503, "provider-unavailable")
    shown = client.get(f"/pay/{payment_token(payment_id_of(UUID(order['id'])))}")
    assert shown.status_code == 503
    assert "try again in a moment" in shown.content.decode()


def test_the_page_of_a_payment_says_what_there_is_to_do(client, conference, ada, account):
    choose(conference, "bank-transfer")
    order = UUID(placed(ada, conference).json()["id"])
    url = f"/pay/{payment_token(payment_id_of(order))}"
    page = client.get(url)
    assert reference_of(payment_id_of(order)) in page.content.decode()
    assert page.headers["Cache-Control"] == "no-store"
    dispatch(ExpireOrder(order_id=order))
    assert "nothing to pay here" in client.get(url).content.decode()
    assert client.get(f"{url}x").status_code == 404
    assert client.get(f"/pay/{payment_token(order)}").status_code == 404


def test_somebody_else_can_neither_pay_nor_choose(conference, ada):
    order = placed(ada, conference).json()["id"]
    _, other = callers.customer()
    assert other.post(f"/orders/{order}/payments").status_code == 404
