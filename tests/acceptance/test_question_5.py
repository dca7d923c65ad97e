"""How does a customer get a mail that says how an order stands? By the API and by a button; each time that it is asked
for, once, and never because a read model was rebuilt. A service elsewhere that follows the log is told as often.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from knox.models import AuthToken
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from eventstore.operations.base import perform
from ordering.domain.order import RequestStatusMail
from ordering.models import CustomerProfile, OrderSummary
from projections.models import Generation
from projections.operations import Rebuild
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.api import caller
from tests.integration.http_client import V1, Http
from tests.integration.processes import eventually, server, worker

ORDERS = "order-summaries"


@pytest.fixture(scope="module")
def site(browser, mails, django_db_setup, django_db_blocker) -> Iterator[str]:
    """The address of an empty site with its clock and a worker."""
    from django.db import connections

    from eventstore.testing import reset

    with django_db_blocker.unblock(), ExitStack() as running:
        reset()
        running.enter_context(worker(beats=True))
        yield running.enter_context(server())
        connections.close_all()


@pytest.fixture
def order(site):
    """One that is paid."""
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    return eventually(OrderSummary.objects.filter(pk=order, status="confirmed").first)


def request_about(order):
    """The one event that asks for a mail about this order."""
    return StoredEvent.objects.get(type="order.status-mail-requested", stream_id=order)


def at_rest():
    """Whether every mail that anything asked for was sent."""
    return not Delivery.objects.exclude(status="done").exists()


def the_one_sent(order, mails):
    """The status mail about an order, once nothing is left to be sent: one of it went out, at the first attempt."""
    asked, number = request_about(order), OrderSummary.objects.get(pk=order).number
    eventually(lambda: Delivery.objects.filter(position=asked.position).exists() and at_rest(), 60)
    assert Delivery.objects.get(position=asked.position).attempts == 1
    about = [mail for mail in mails.received if str(mail["Subject"]).startswith(f"Your order {number}:")]
    (mail,) = [mail for mail in about if "to pay" not in str(mail["Subject"])]
    return mail


def test_a_customer_asks_by_the_api_and_gets_one_mail(site, mails):
    http = Http(site)
    customer, conference = http.register(), shop.conference_on_sale()
    lines = [{"seat_type": "standard", "quantity": 2}]
    placing = {"customer_id": customer, "conference_id": str(conference), "lines": lines}
    order = json.loads(http.call("POST", f"{V1}/orders", placing).content)
    answer = http.call("POST", f"{V1}/orders/{order['id']}/status-mail")
    assert answer.status == 202
    event = request_about(order["id"])
    assert event.actor == f"customer:{customer}"
    assert answer.headers["Event-Position"] == str(event.position)
    mail = the_one_sent(order["id"], mails)
    assert (mail["To"], mail["Subject"]) == (http.email, f"Your order {order['number']}: placed")
    assert "199.00 EUR" in mail.get_body(("plain",)).get_content()


def test_staff_ask_with_a_button_and_the_customer_gets_one_mail(page, log_in, order, mails):
    user = log_in("ordering.view_ordersummary", "ordering.request_status_mail")
    page.goto(f"/admin/ordering/ordersummary/{order.pk}/change/")
    page.get_by_role("link", name="Send a status mail").click()
    expect(page.get_by_text("The customer gets a mail that says how this order stands")).to_be_visible()
    page.get_by_role("button", name="Send a status mail").click()
    expect(page.get_by_text("A mail about the order is on its way")).to_be_visible()
    asked = page.locator("#timeline li").filter(has_text="order.status-mail-requested")
    expect(asked).to_contain_text(user.username)
    assert request_about(order.pk).actor == f"staff:{user.pk}"
    mail = the_one_sent(order.pk, mails)
    assert (mail["To"], mail["Subject"]) == (
        CustomerProfile.objects.get(pk=order.customer_id).email,
        f"Your order {order.number}: confirmed",
    )


def test_a_rebuild_of_the_orders_folds_the_request_again_and_sends_nothing(order, mails):
    dispatch(RequestStatusMail(order_id=order.pk))
    the_one_sent(order.pk, mails)
    sent, ledger = len(mails.received), Delivery.objects.count()
    perform(Rebuild(target=ORDERS), by="test")
    eventually(lambda: Generation.objects.filter(projection=ORDERS, status="live").exists(), 60)
    assert OrderSummary.objects.get(pk=order.pk).as_of == request_about(order.pk).position
    assert Delivery.objects.count() == ledger
    newcomer = shop.customer()
    eventually(lambda: Delivery.objects.count() > ledger and at_rest())
    assert [mail["To"] for mail in mails.received[sent:]] == [f"{newcomer.hex}@example.org"]


class TextMessages:
    """A service elsewhere, which knows the site's address and nothing else of it: it tells customers by text message
    what they asked for, and keeps how far it is.
    """

    def __init__(self, site, token):
        self._http, self._after, self._epoch = Http(site), 0, None
        self._http.headers["Authorization"] = f"Token {token}"
        self.sent = []

    def begin_at_the_end(self):
        page = self._http.get(f"{V1}/events?after=0&limit=1")
        self._after, self._epoch = page["horizon"], page["epoch"]

    def work(self, wait=0):
        """Deal with what came since, and say so."""
        asked = f"after={self._after}&epoch={self._epoch}&wait={wait}&types=order.status-mail-requested"
        page = self._http.get(f"{V1}/events?{asked}")
        self.sent += [event["data"]["order_id"] for event in page["events"]]
        self._after = page["next"]
        report = {"position": self._after, "epoch": self._epoch}
        return self._http.call("PUT", f"{V1}/consumers/text-messages", report)


@pytest.fixture
def service(site):
    service = TextMessages(site, AuthToken.objects.create(user=caller.follower())[1])
    service.begin_at_the_end()
    return service


def test_a_service_that_follows_the_log_acts_once_and_never_on_a_rebuild(page, log_in, order, service):
    service.work()
    assert service.sent == []
    dispatch(RequestStatusMail(order_id=order.pk))
    service.work(wait=20)
    assert service.sent == [str(order.pk)]

    rebuilt = Generation.objects.filter(projection=ORDERS, status="live").values_list("pk", flat=True)
    before = rebuilt.get()
    perform(Rebuild(target=ORDERS), by="test")
    eventually(lambda: rebuilt.get() != before, 60)
    reported = service.work()
    assert service.sent == [str(order.pk)]

    assert reported.status == 200
    log_in("eventstore.view_subscriberrow", "eventstore.view_consumer")
    page.goto("/admin/eventstore/consumer/")
    expect(page.get_by_role("row").filter(has_text="text-messages")).to_be_visible()
