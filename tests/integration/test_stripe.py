"""Stripe, against a server that speaks as it does."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
import stripe
from django.test import override_settings

from ordering.checks import stripe_keys
from ordering.providers.provider import (
    InvalidSignature,
    Outcome,
    Provider,
    RefundAnswer,
    RefundOutcome,
    RefundReport,
    Report,
)
from ordering.providers.stripe import KeyRefused, Stripe
from tests.integration.stripe_server import SECRET_KEY, WEBHOOK_SECRET, StripeServer, deliver, sign
from tests.unit.samples import euros

PAYMENT = UUID("05c3a2e1-9b31-50b8-abaa-d8de6c724b82")
PRICE = euros("398")


@pytest.fixture
def server() -> Iterator[StripeServer]:
    with StripeServer().running() as server:
        yield server


def connected(server: StripeServer, **other: Any) -> Stripe:
    given = {"secret_key": SECRET_KEY, "timeout": (2.0, 2.0), **other}
    return Stripe(webhook_secret=WEBHOOK_SECRET, return_url="https://boxoffice.example", api_url=server.url, **given)


@pytest.fixture
def provider(server: StripeServer) -> Provider:
    return connected(server)


def start(provider: Provider) -> str | None:
    return provider.start(PAYMENT, order_number="BX-7K3M-9QWE", amount=PRICE).pay_url


def started(provider: Provider, server: StripeServer) -> dict[str, Any]:
    """The session of the payment."""
    start(provider)
    return list(server.sessions.values())[-1]


def reported(provider: Provider, events: list[dict[str, Any]]) -> list[Report | RefundReport]:
    return [report for event in events for report in provider.reports(json.dumps(event).encode())]


def test_a_customer_pays_at_a_page_that_knows_the_payment(provider, server):
    assert start(provider) == "https://checkout.example/cs_1"
    (session,) = server.sessions.values()
    assert (session["amount_total"], session["currency"]) == (39_800, "eur")
    assert session["metadata"] == session["intent_metadata"] == {"payment_id": str(PAYMENT)}
    assert session["success_url"] == "https://boxoffice.example"


def test_asked_again_it_is_the_same_page(provider, server):
    assert start(provider) == start(provider)
    assert len(server.sessions) == 1


def test_an_answer_that_is_lost_makes_no_second_page(provider, server):
    server.losing = ["POST"]
    with pytest.raises(stripe.APIConnectionError):
        start(provider)
    assert start(provider) == "https://checkout.example/cs_1"
    assert len(server.sessions) == 1


def test_a_page_that_expired_is_followed_by_another_and_that_one_stays(provider, server):
    server.expire(started(provider, server))
    pages = [start(provider), start(provider)]
    assert len(set(pages)) == 1
    assert [session["status"] for session in server.sessions.values()] == ["expired", "open"]


def test_a_debit_that_failed_may_be_followed_by_another_payment(provider, server):
    session = started(provider, server)
    server.pay(session, later=True)
    assert start(provider) is None
    server.debit_fails(session)
    assert start(provider) == server.sessions["cs_6"]["url"]


def test_there_is_no_page_for_what_is_paid(provider, server):
    server.pay(started(provider, server))
    assert start(provider) is None
    assert len(server.sessions) == 1


def test_another_amount_under_the_same_payment_is_an_error(provider, server):
    start(provider)
    with pytest.raises(stripe.IdempotencyError):
        provider.start(PAYMENT, order_number="BX-7K3M-9QWE", amount=euros("5"))
    assert len(server.sessions) == 1


def accepted(intent: str) -> Report:
    return Report(id=f"{intent}/accepted", outcome=Outcome.ACCEPTED, reference=intent, payment_id=PAYMENT, amount=PRICE)


def test_a_card_is_reported_once_paid(provider, server):
    intent = server.pay(started(provider, server))
    assert reported(provider, server.events) == [accepted(intent)]


def test_a_debit_is_pending_until_it_is_paid_or_not(provider, server):
    session = started(provider, server)
    intent = server.pay(session, later=True)
    server.debit_succeeds(session)
    pending = Report(
        id=f"{intent}/pending", outcome=Outcome.PENDING, reference=intent, payment_id=PAYMENT, amount=PRICE
    )
    assert reported(provider, server.events) == [pending, pending, accepted(intent)]


def test_a_debit_that_fails_is_declined(provider, server):
    session = started(provider, server)
    intent = server.pay(session, later=True)
    server.debit_fails(session)
    *_, declined = reported(provider, server.events)
    assert declined == Report(
        id=f"{intent}/declined",
        outcome=Outcome.DECLINED,
        reference=intent,
        payment_id=PAYMENT,
        amount=PRICE,
        reason="The payment was not carried out.",
    )


def test_in_any_order_and_repeated_the_same_reports_come_out(provider, server):
    session = started(provider, server)
    intent = server.pay(session, later=True)
    server.debit_succeeds(session)
    server.give_back(intent, 100)
    expected = set(reported(provider, server.events))
    for order in permutations(server.events):
        assert set(reported(provider, [*order, *order])) == expected


def test_what_others_do_with_the_account_is_of_no_concern(provider, server):
    session = started(provider, server)
    session["metadata"] = session["intent_metadata"] = {"payment_id": "42"}
    server.pay(session, later=True)
    unknown = {"type": "customer.created", "data": {"object": {"id": "cus_1"}}}
    assert reported(provider, [*server.events, unknown]) == []


UNKNOWN_CURRENCY = b"""{"type": "refund.updated", "data": {"object":
    {"id": "re_1", "payment_intent": "pi_1", "amount": 1, "currency": "x"}}}"""


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"type": "refund.created", "data": {"object": {}}}', UNKNOWN_CURRENCY],
)
def test_a_wrong_shape_is_an_error(provider, body):
    with pytest.raises(ValueError, match=r"."):
        provider.reports(body)


class Receiver(BaseHTTPRequestHandler):
    """The webhook of a site, as short as can be."""

    provider: Provider
    received: list[Report | RefundReport]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.provider.verify(dict(self.headers), body)
        except InvalidSignature:
            status = 400
        else:
            status = 200
            self.received.extend(self.provider.reports(body))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        """Tests say what they want to know."""


def test_webhooks_arrive_signed_over_http(provider, server):
    session = started(provider, server)
    intent = server.pay(session, later=True)
    server.debit_succeeds(session)

    class Handler(Receiver):
        received = []

    Handler.provider = provider
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,)).start()
        url = f"http://127.0.0.1:{http.server_address[1]}/webhooks/payments/stripe"
        statuses = deliver([*reversed(server.events), *server.events], url)
        http.shutdown()
    assert set(statuses) == {200}
    assert Handler.received[0] == accepted(intent)
    assert len({report.id for report in Handler.received}) == 2


BODY = b'{"type": "customer.created", "data": {"object": {}}}'


def test_a_signature_of_stripe_is_good_for_five_minutes(provider):
    provider.verify({"Stripe-Signature": sign(BODY, at=time.time() - 290)}, BODY)
    with pytest.raises(InvalidSignature):
        provider.verify({"Stripe-Signature": sign(BODY, at=time.time() - 310)}, BODY)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("", BODY),
        ("t=1", BODY),
        ("nonsense", BODY),
        (sign(BODY, secret="whsec_another"), BODY),
        (sign(BODY), BODY + b" "),
        (sign(b"\xff"), b"\xff"),
        (sign(BODY).replace("v1=", "v1=ü"), BODY),
        (sign(BODY).replace("v1=", "v2="), BODY),
    ],
)
def test_any_other_signature_is_refused(provider, header, body):
    with pytest.raises(InvalidSignature):
        provider.verify({"Stripe-Signature": header}, body)


def test_a_refund_is_asked_for_once(provider, server):
    intent, key = server.pay(started(provider, server)), uuid4()
    answers = [provider.refund(intent, euros("100"), key=key)]
    server.forget_keys()
    answers.append(provider.refund(intent, euros("100"), key=key))
    (refund,) = server.refunds.values()
    assert refund["amount"] == 10_000
    assert answers == [RefundAnswer(outcome=RefundOutcome.SETTLED, reference=refund["id"])] * 2


def test_a_refund_whose_answer_was_lost_is_not_made_twice(provider, server):
    intent, key = server.pay(started(provider, server)), uuid4()
    server.losing = ["POST"]
    with pytest.raises(stripe.APIConnectionError):
        provider.refund(intent, PRICE, key=key)
    assert provider.refund(intent, PRICE, key=key).outcome is RefundOutcome.SETTLED
    assert len(server.refunds) == 1


def test_two_refunds_of_one_payment_are_two(provider, server):
    intent = server.pay(started(provider, server))
    for _ in range(2):
        provider.refund(intent, euros("100"), key=uuid4())
    assert len(server.refunds) == 2


def test_a_refund_may_take_time_and_fail_in_the_end(provider, server):
    server.instant_refunds = False
    intent, key = server.pay(started(provider, server)), uuid4()
    answer = provider.refund(intent, euros("100"), key=key)
    (refund,) = server.refunds.values()
    server.refund_ends(refund, "failed", "lost_or_stolen_card")
    *_, pending, failed = reported(provider, server.events)
    assert answer == RefundAnswer(outcome=RefundOutcome.PENDING, reference=refund["id"])
    assert pending == RefundReport(
        id=f"{refund['id']}/pending",
        outcome=RefundOutcome.PENDING,
        reference=refund["id"],
        payment_reference=intent,
        amount=euros("100"),
        key=key,
    )
    assert isinstance(failed, RefundReport)
    assert (failed.outcome, failed.reason, failed.key) == (RefundOutcome.FAILED, "lost_or_stolen_card", key)
    assert provider.refund(intent, euros("100"), key=key).outcome is RefundOutcome.FAILED


def test_a_refund_that_staff_made_at_stripe_is_reported_without_a_key_of_ours(provider, server):
    intent = server.pay(started(provider, server))
    refund = server.give_back(intent, 500)
    *_, report = reported(provider, server.events)
    assert isinstance(report, RefundReport)
    assert (report.reference, report.payment_reference, report.amount) == (refund["id"], intent, euros("5"))
    assert (report.outcome, report.key) == (RefundOutcome.SETTLED, None)


def test_an_old_version_of_the_api_tells_refunds_with_the_charge(provider, server):
    refund = server.give_back(server.pay(started(provider, server)), 500)
    charge = {"id": "ch_1", "refunds": {"data": [refund]}}
    (report,) = reported(provider, [{"type": "charge.refunded", "data": {"object": charge}}])
    assert report.id == f"{refund['id']}/settled"


@pytest.mark.parametrize("amount", ["399", "398.01"])
def test_more_than_was_paid_is_not_given_back(provider, server, amount):
    answer = provider.refund(server.pay(started(provider, server)), euros(amount), key=uuid4())
    assert answer.outcome is RefundOutcome.FAILED
    assert "greater than" in answer.reason


def test_nothing_is_given_back_of_money_that_is_not_known(provider):
    assert provider.refund("pi_unknown", PRICE, key=uuid4()).outcome is RefundOutcome.FAILED


def test_a_look_up_tells_what_a_webhook_would_have_under_the_same_ids(provider, server):
    session = started(provider, server)
    assert provider.look_up(PAYMENT) == []
    intent = server.pay(session, later=True)
    assert provider.look_up(PAYMENT) == reported(provider, server.events[:1])
    server.debit_succeeds(session)
    provider.refund(intent, euros("100"), key=uuid4())
    events = [event for event in server.events if event["type"].endswith(("payment_succeeded", "refund.created"))]
    assert provider.look_up(PAYMENT) == reported(provider, events)


def test_a_look_up_tells_a_failed_debit_and_not_a_card_that_may_be_followed_by_another(provider, server):
    session = started(provider, server)
    server.try_a_card_that_is_declined(session)
    assert provider.look_up(PAYMENT) == []
    server.pay(session, later=True)
    server.debit_fails(session)
    assert provider.look_up(PAYMENT) == reported(provider, server.events[-1:])


def test_a_look_up_finds_nothing_before_the_search_does(provider, server):
    server.pay(started(provider, server))
    server.lag_of_search = True
    assert provider.look_up(PAYMENT) == []


@pytest.mark.parametrize("status", [500, 429, 503])
def test_trouble_of_theirs_gets_out_and_is_not_tried_again_here(provider, server, status):
    server.failing = [status]
    with pytest.raises(stripe.StripeError):
        provider.refund("pi_1", PRICE, key=uuid4())
    assert len(server.requests) == 1


def test_a_server_that_is_slow_is_not_waited_for_long(server):
    server.delay = 1.0
    with pytest.raises(stripe.APIConnectionError):
        start(connected(server, timeout=(0.2, 0.2)))


def test_no_key_is_in_any_log_line_or_error(server, caplog):
    wrong = f"{SECRET_KEY}x"
    provider = connected(server, secret_key=wrong)
    calls = (
        lambda: start(provider),
        lambda: provider.refund("pi_1", PRICE, key=uuid4()),
        lambda: provider.look_up(PAYMENT),
    )
    with caplog.at_level(logging.INFO):
        for call in calls:
            with pytest.raises(KeyRefused) as refused:
                call()
            assert SECRET_KEY not in f"{refused.value!r} {refused.value.__cause__!r}"
            assert refused.value.__suppress_context__
    assert SECRET_KEY not in caplog.text
    assert SECRET_KEY not in repr(provider)


@pytest.mark.parametrize("library", ["stripe", "urllib3"])
def test_what_the_libraries_would_quote_is_not_logged(library):
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)


KEYS = {"STRIPE_SECRET_KEY": SECRET_KEY, "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}


def test_it_is_off_without_keys():
    with override_settings(**dict.fromkeys(KEYS, "")):
        assert Stripe.configured() is None
        assert stripe_keys() == []
    with override_settings(**KEYS):
        assert isinstance(Stripe.configured(), Stripe)
        assert stripe_keys() == []


@pytest.mark.parametrize("missing", KEYS)
def test_one_key_alone_is_an_error_that_names_the_other(missing):
    with override_settings(**KEYS | {missing: ""}):
        assert Stripe.configured() is None
        (error,) = stripe_keys()
    assert (error.id, error.msg) == ("ordering.E012", f"Stripe needs {missing}, too.")
