"""What payment providers report."""

import hmac
import json
from hashlib import sha256

import pytest

from eventstore.models import StoredEvent
from ordering.domain.values import payment_id_of
from ordering.models import OrderSummary
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written

pytestmark = pytest.mark.usefixtures("clean")

HOOK = "/webhooks/payments/sandbox"


@pytest.fixture
def order():
    return shop.order(shop.customer(), shop.conference_on_sale(), 2)


@pytest.fixture
def report(settings):
    """Sends what a provider would, signed as it would."""

    def send(content, path=HOOK):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        signature = hmac.new(settings.PAYMENT_WEBHOOK_SECRET.encode(), body, sha256).hexdigest()
        return Caller().post(path, body, X_Signature=signature)

    return send


def notice(order, **more):
    amount = {"amount": "199.00", "currency": "EUR"}
    accepted = {"id": "evt-1", "outcome": "accepted", "amount": amount, "reference": "REF-1"}
    return {**accepted, "payment_id": str(payment_id_of(order)), **more}


def test_a_reported_payment_confirms_the_order(order, report):
    answer = report(notice(order))
    assert answer.status_code == 200
    accepted = StoredEvent.objects.get(type="payment.accepted")
    assert answer.headers["Event-Position"] == str(accepted.position)
    assert accepted.actor == "provider:sandbox"
    assert OrderSummary.objects.get().status == "confirmed"


def test_a_report_that_comes_again_is_answered_as_the_first_time(order, report):
    first = report(notice(order))
    with nothing_written():
        again = report(notice(order))
    assert (again.status_code, again.content) == (200, first.content)


def test_a_payment_is_accepted_once_however_many_events_report_it(order, report):
    report(notice(order))
    assert report(notice(order, id="evt-2")).status_code == 200
    with nothing_written():
        other = report(notice(order, id="evt-3", reference="REF-2"))
        assert_problem(other, 409, "payment-already-settled")
    assert StoredEvent.objects.filter(type="payment.accepted").count() == 1


@pytest.mark.parametrize("signature", ["", "00", "\xe9", "f" * 64])
def test_a_wrong_signature_leaves_no_trace(order, signature):
    with nothing_written():
        response = Caller().post(HOOK, notice(order), X_Signature=signature)
        assert_problem(response, 400, "invalid-signature")
        assert_problem(Caller().post(HOOK, notice(order)), 400, "invalid-signature")


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"amount": None, "outcome": "maybe"}, ["/amount", "/outcome"]),
        ({"amount": {"amount": "NaN", "currency": "euro"}}, ["/amount/amount", "/amount/currency"]),
        ({"amount": {"amount": "1.001", "currency": "EUR"}}, ["/amount/amount"]),
        ({"amount": {"amount": "-1.00", "currency": "EUR"}}, ["/amount/amount"]),
        ({"amount": {"amount": "1000000000000.00", "currency": "EUR"}}, ["/amount/amount"]),
        ({"amount": {"amount": "100.50", "currency": "JPY"}}, ["/amount/amount"]),
        ({"amount": {"amount": "1.00", "currency": "ABC"}}, ["/amount/currency"]),
        ({"amount": {"amount": "1.00", "currency": "XAU"}}, ["/amount/currency"]),
        *(
            ({"amount": {"amount": amount, "currency": "EUR"}}, ["/amount/amount"])
            for amount in (
                10,
                10.5,
                True,
                None,
                "",
                " 1",
                "1_0",
                "\uff11\uff10",
                "1e1",
                "1E-400",
                "-0",
                "+1",
                "1.",
                ".5",
            )
        ),
        ({"payment_id": 7}, ["/payment_id"]),
    ],
)
def test_a_report_of_another_shape_is_refused(order, report, change, pointers):
    with nothing_written():
        problem = assert_problem(report(notice(order, **change)), 400, "invalid")
    assert sorted(error["pointer"] for error in problem["errors"]) == pointers


def test_an_accepted_payment_says_how_much_and_what_it_is_called(order, report):
    content = notice(order)
    del content["amount"], content["reference"]
    problem = assert_problem(report(content), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/amount", "/reference"]


def test_a_report_that_is_no_json_is_refused(order, report):
    with nothing_written():
        assert_problem(report(b"{"), 400, "malformed")
        assert_problem(report(b'"' + b"x" * 70_000 + b'"'), 413, "too-large")


def test_unknown_providers_and_payments_are_not_found(order, report):
    with nothing_written():
        assert_problem(report(notice(order), path="/webhooks/payments/acme"), 404, "not-found")
        assert_problem(report(notice(order, payment_id=str(order))), 404, "not-found")


def test_where_money_is_real_there_is_no_sandbox(order, report, settings):
    settings.PAYMENT_PROVIDER = "acme"
    storefront = callers.storefront()
    with nothing_written():
        assert_problem(report(notice(order)), 404, "not-found")
        played = storefront.post(f"/sandbox/payments/{payment_id_of(order)}", {"outcome": "accepted"})
        assert_problem(played, 404, "not-found")
    assert storefront.get(f"/orders/{order}").json()["payment"]["pay_url"] is None
