"""What payment providers report."""

import hmac
import json
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from structlog.testing import capture_logs

from eventstore.commands import dispatch
from eventstore.models import Incident, StoredEvent
from eventstore.monitoring.incidents import check_health
from ordering.domain.order import CancelOrder
from ordering.domain.payment import AssignPayment
from ordering.domain.values import payment_id_of
from ordering.models import OrderSummary
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written

pytestmark = pytest.mark.usefixtures("clean")

HOOK = "/webhooks/payments/sandbox"
PRICE = shop.PRICE.amount


def types(category):
    return list(StoredEvent.objects.filter(category=category).order_by("position").values_list("type", flat=True))


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
    assert answer.json()["position"] == accepted.position < int(answer.headers["Event-Position"])
    assert accepted.actor == "provider:sandbox"
    assert OrderSummary.objects.get().status == "confirmed"


def test_a_report_that_comes_again_is_answered_as_the_first_time(order, report):
    first = report(notice(order))
    with nothing_written():
        again = report(notice(order))
    assert (again.status_code, again.content) == (200, first.content)


def test_the_same_money_is_accepted_once_however_many_reports_tell_of_it(order, report):
    report(notice(order))
    assert report(notice(order, id="evt-2")).status_code == 200
    assert types("payment") == ["payment.requested", "payment.accepted"]
    with nothing_written():
        assert report(notice(order, id="evt-2")).status_code == 200
        other = notice(order, id="evt-2", reference="REF-2")
        assert_problem(report(other), 409, "report-differs")


def test_a_payment_that_is_made_twice_is_recorded_twice_and_the_second_goes_back(order, report):
    report(notice(order))
    assert report(notice(order, id="evt-2", reference="REF-2")).status_code == 200
    bring_to_rest()
    row = OrderSummary.objects.get()
    assert (row.status, row.received, row.returned) == ("confirmed", 4 * PRICE, 2 * PRICE)


@pytest.mark.parametrize("change", [{"amount": {"amount": "1.00", "currency": "EUR"}}, {"reference": "REF-2"}])
def test_a_report_that_comes_again_with_other_content_is_refused(order, report, change):
    report(notice(order))
    with nothing_written(), capture_logs() as told:
        assert_problem(report(notice(order, **change)), 409, "report-differs")
    refused = {"event": "payment_report_refused", "log_level": "warning", "provider": "sandbox", "report": "evt-1"}
    assert {**refused, "code": "report-differs"} in told


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": {"amount": "1.00", "currency": "EUR"}}, "report-differs"),
        ({"outcome": "declined"}, "report-differs"),
        ({"id": "evt-2", "amount": {"amount": "1.00", "currency": "EUR"}}, "payment-reference-differs"),
    ],
)
def test_staff_see_a_report_that_contradicts_one_before_until_they_resolve_it(order, report, client, change, code):
    report(notice(order))
    contradicting = notice(order, **change)
    for _ in range(2):
        assert_problem(report(contradicting), 409, code)
    incident = Incident.objects.get()
    assert (incident.kind, incident.about) == ("payment report", f"sandbox report {contradicting['id']}")
    assert incident.text.startswith(f"was refused, {code}: ")
    client.force_login(User.objects.create_superuser("root"))
    for page in ("", f"{incident.pk}/change/"):
        assert incident.about in client.get(f"/admin/eventstore/incident/{page}").content.decode()
    check_health()
    assert Incident.objects.get().ended_at is None
    chosen = {"action": "resolve_selected", "_selected_action": [incident.pk], "confirmed": "yes", "reason": "Cleared."}
    client.post("/admin/eventstore/incident/", chosen)
    assert Incident.objects.get().ended_at


def test_the_same_report_again_is_no_incident(order, report):
    for _ in range(2):
        assert report(notice(order)).status_code == 200
    assert not Incident.objects.exists()


@pytest.mark.parametrize("amount", [{"amount": "198.99", "currency": "EUR"}, {"amount": "199.00", "currency": "USD"}])
def test_a_reference_that_comes_with_another_amount_is_refused_and_logged(order, report, amount):
    report(notice(order))
    with nothing_written(), capture_logs() as told:
        assert_problem(report(notice(order, id="evt-2", amount=amount)), 409, "payment-reference-differs")
    assert "payment-reference-differs" in [each.get("code") for each in told]


def test_a_reference_that_another_payment_has_is_refused(order, report):
    another = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    report(notice(order))
    with nothing_written():
        assert_problem(report(notice(another, id="evt-2")), 409, "payment-reference-taken")


def test_a_payment_is_recorded_whatever_has_become_of_its_order(order, report):
    dispatch(CancelOrder(order_id=order))
    assert report(notice(order)).status_code == 200
    bring_to_rest()
    row = OrderSummary.objects.get()
    assert (row.status, row.received, row.returned, row.payment_status) == (
        "refunded",
        2 * PRICE,
        2 * PRICE,
        "refunded",
    )


def test_a_payment_may_be_pending_before_it_is_accepted(order, report):
    pending = {"id": "evt-0", "outcome": "pending", "payment_id": str(payment_id_of(order)), "reference": "REF-1"}
    assert report(pending).status_code == 200
    assert OrderSummary.objects.get().payment_status == "pending"
    with nothing_written():
        assert report(pending).status_code == 200
        assert_problem(report({**pending, "reference": "REF-2"}), 409, "report-differs")
    report(notice(order))
    assert OrderSummary.objects.get().status == "confirmed"


def test_a_payment_that_is_declined_after_it_was_accepted_stays_accepted(order, report):
    report(notice(order))
    declined = {"id": "evt-2", "outcome": "declined", "payment_id": str(payment_id_of(order)), "reason": "Too late."}
    assert report(declined).status_code == 200
    assert types("payment")[-1] == "payment.declined"
    row = OrderSummary.objects.get()
    assert (row.status, row.payment_status) == ("confirmed", "accepted")
    with nothing_written():
        assert_problem(report({**declined, "reason": "Otherwise."}), 409, "report-differs")


@pytest.mark.parametrize("payment_id", [{"payment_id": str(uuid4())}, {"payment_id": None}])
def test_money_for_a_payment_that_nobody_knows_is_kept_and_can_be_assigned(order, report, payment_id):
    unknown = notice(order, **payment_id)
    answer = report(unknown)
    assert answer.status_code == 200
    kept = UUID(answer.json()["payment_id"])
    assert types("unmatched-payment") == ["payment.unmatched"]
    assert types("finance") == ["finance.payment-received"]
    assert OrderSummary.objects.get().status == "awaiting_payment"
    with nothing_written():
        assert report(unknown).content == answer.content
        assert_problem(report({**unknown, "reference": "REF-2"}), 409, "report-differs")
    assert report({**unknown, "id": "evt-2"}).json()["position"] is None
    dispatch(AssignPayment(payment_id=kept, order_id=order))
    assert OrderSummary.objects.get().status == "confirmed"


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
        ({"amount": {"amount": "1.0005", "currency": "KWD"}}, ["/amount/amount"]),
        ({"amount": {"amount": "9" * 5000, "currency": "EUR"}}, ["/amount/amount"]),
        ({"amount": {"amount": "0.00", "currency": "EUR"}}, ["/amount/amount"]),
        ({"amount": {"amount": "1.00", "currency": "XXX"}}, ["/amount/currency"]),
        ({"amount": {"amount": "1.00", "currency": "eur"}}, ["/amount/currency"]),
        ({"amount": {"amount": "1.00", "currency": None}}, ["/amount/currency"]),
        ({"amount": {"amount": "1.00"}}, ["/amount/currency"]),
        ({"amount": "1.00 EUR"}, ["/amount"]),
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


def test_unknown_providers_are_not_found_nor_payments_that_bring_no_money(order, report):
    with nothing_written():
        assert_problem(report(notice(order), path="/webhooks/payments/acme"), 404, "not-found")
        declined = {"id": "evt-1", "outcome": "declined", "payment_id": str(order)}
        assert_problem(report(declined), 404, "not-found")
        assert_problem(report({**declined, "payment_id": None}), 404, "not-found")


def test_where_money_is_real_there_is_no_sandbox(order, report, settings):
    settings.PAYMENT_PROVIDER = "acme"
    storefront = callers.storefront()
    with nothing_written():
        assert_problem(report(notice(order)), 404, "not-found")
        played = storefront.post(f"/sandbox/payments/{payment_id_of(order)}", {"outcome": "accepted"})
        assert_problem(played, 404, "not-found")
    assert storefront.get(f"/orders/{order}").json()["payment"]["pay_url"] is None
