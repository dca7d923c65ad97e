"""The page of the sandbox, where one plays the customer: each case of what may come in, by hand."""

from uuid import UUID

import pytest
from django.test import Client

from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.finance import RequestRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.domain.values import payment_id_of
from ordering.models import FailedRefund, OrderSummary
from ordering.pages.links import payment_token, sandbox_path
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def order():
    """Of two seats, which cost 199 together."""
    return shop.order(shop.customer(), shop.conference_on_sale(), 2)


def row(order) -> OrderSummary:
    return OrderSummary.objects.get(pk=order)


@pytest.fixture
def play(client, order):
    """Presses one of the buttons, and looks at the page that comes then."""

    def press(do="pay", **more):
        path = sandbox_path(payment_id_of(order))
        number = client.get(path).content.decode().split('name="number" value="')[1].split('"')[0]
        answer = client.post(path, {"do": do, "number": number, **more}, follow=True)
        bring_to_rest()
        return answer

    return press


def test_all_of_it_is_paid_and_confirms_the_order(play, order):
    assert play(amount="199.00").status_code == 200
    assert row(order).status == "confirmed"


def test_a_part_is_paid_and_then_the_rest_of_which_the_page_tells(client, play, order):
    play(amount="99.5")
    assert (row(order).status, row(order).due) == ("awaiting_payment", shop.PRICE.amount)
    rest = sandbox_path(UUID(str(row(order).payment_id)))
    assert rest in client.get(sandbox_path(payment_id_of(order))).content.decode()
    play(amount="99.50")
    assert row(order).status == "confirmed"


def test_what_is_on_its_way_back_is_asked_for_again(client, play, order):
    path = sandbox_path(payment_id_of(order))
    play(amount="99.50")
    assert client.get(path).context["asked"] == shop.PRICE
    (paid,) = (each for each in row(order).payments if each["reference"])
    dispatch(
        RequestRefund(
            account_id=account_id_of(order),
            provider="sandbox",
            reference=paid["reference"],
            amount=shop.PRICE,
            reason="A favour.",
        )
    )
    assert client.get(path).context["asked"] == shop.PRICE * 2


def test_too_much_and_twice_is_paid_and_goes_back(play, order):
    play(amount="209.00")
    play(amount="199.00")
    assert row(order).received == 408
    assert row(order).returned == 209


def test_a_payment_that_is_late_takes_the_order_up(client, play, order):
    dispatch(ExpireOrder(order_id=order))
    bring_to_rest()
    assert "Whatever is paid now is late" in client.get(sandbox_path(payment_id_of(order))).content.decode()
    play(amount="199.00")
    assert row(order).status == "confirmed"


def test_it_is_declined_or_stays_pending_and_is_accepted_then(play, order):
    play("say", outcome="declined")
    assert row(order).payment_status == "declined"
    assert "The payment is pending" in play("say", outcome="pending").content.decode()
    assert row(order).payment_status == "pending"
    play("say", outcome="declined")
    assert row(order).payment_status == "declined"
    play("say", outcome="pending")
    play(amount="199.00")
    assert row(order).status == "confirmed"


def test_a_refund_fails_if_that_was_said(play, order):
    play(amount="199.00", no_refund="on")
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert FailedRefund.objects.get().amount == 199


def test_money_is_given_back_at_the_provider(client, play, order):
    play(amount="199.00")
    (payment,) = row(order).payments
    play("give-back", reference=payment["reference"])
    assert row(order).returned == 199
    assert "has gone back" in client.get(sandbox_path(payment_id_of(order))).content.decode()
    again = play("give-back", reference=payment["reference"])
    assert (again.status_code, "refund-too-high" in again.content.decode()) == (409, True)
    assert "not in the books yet" in play("give-back", reference="SANDBOX-1").content.decode()


def test_what_is_sent_twice_is_one_payment(client, order):
    path = sandbox_path(payment_id_of(order))
    number = client.get(path).content.decode().split('name="number" value="')[1].split('"')[0]
    for _ in range(2):
        assert client.post(path, {"number": number, "amount": "199.00"}).status_code == 302
    other = client.post(path, {"number": number, "amount": "1.00"})
    assert (other.status_code, "report-differs" in other.content.decode()) == (409, True)
    assert StoredEvent.objects.filter(type="payment.accepted").count() == 1


@pytest.mark.parametrize("amount", ["", "0", "-1", "1e400", "0.001", "x" * 50])
def test_an_amount_that_nobody_can_pay_is_refused(play, order, amount):
    assert play(amount=amount).status_code == 409
    assert row(order).received == 0


def test_only_its_own_links_and_its_own_forms_are_good(client, order, settings):
    path = sandbox_path(payment_id_of(order))
    assert client.get(f"{path}x").status_code == 404
    assert client.get(f"/sandbox/{payment_token(payment_id_of(order))}").status_code == 404
    assert client.get(sandbox_path(order)).status_code == 404
    assert Client(enforce_csrf_checks=True).post(path, {"amount": "199.00"}).status_code == 403
    page = client.get(path)
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "strict-origin")
    settings.PAYMENT_PROVIDER = "stripe"
    assert client.get(path).status_code == 404
    assert client.post(path, {"amount": "199.00"}).status_code == 404
