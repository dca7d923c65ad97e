"""Staff tell another system of events, and look after what it answers."""

import re

import pytest
from playwright.sync_api import expect

from sagas.models import WebhookDelivery
from tests.integration import shop
from tests.integration.processes import eventually
from tests.integration.receiver import Receiver, Reply

pytestmark = pytest.mark.usefixtures("site")

ENDPOINTS, DELIVERIES = "/admin/sagas/webhookendpoint/", "/admin/sagas/webhookdelivery/"
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def mails(mails):
    """And the site may send webhooks to this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOKS_TO_PRIVATE_ADDRESSES", "true")
        yield mails


@pytest.fixture
def receiver():
    with Receiver().running() as started:
        yield started


def fits(page):
    """Nothing is cut off beside a narrow window."""
    page.set_viewport_size(NARROW)
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1400, "height": 900})
    return wide <= NARROW["width"]


def test_staff_add_an_endpoint_try_it_and_send_again_what_it_refused(page, log_in, receiver):
    log_in(superuser=True)
    page.goto(ENDPOINTS)
    page.get_by_role("link", name="Add an endpoint").click()
    page.get_by_label("Url").fill(receiver.url)
    page.get_by_label("Owner").fill("ops@example.org")
    page.get_by_label("Event types").fill("customer.registered, order.placed")
    page.get_by_role("button", name="Show what it will touch").click()
    expect(page.get_by_text("is told of customer.registered, order.placed, from now on")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Yes, add an endpoint").click()
    expect(page.get_by_text("its secret can be shown once")).to_be_visible()
    assert fits(page)
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="Show the secret").click()
    page.get_by_role("button", name="Show it now").click()
    expect(page.locator("#secret")).to_have_text(re.compile(r"^whsec_\S{43}$"))
    assert fits(page)
    page.get_by_role("link", name="Go back").click()
    expect(page.get_by_role("link", name="Show the secret")).to_have_count(0)
    page.get_by_role("link", name="Send a test").click()
    receiver.answer = lambda _: Reply(200, body=b"welcome")
    page.get_by_role("button", name="Yes, send a test").click()
    expect(page.get_by_text("answered 200")).to_be_visible()
    assert fits(page)
    receiver.answer = lambda _: Reply(503, body=b"closed for today")
    shop.customer()
    eventually(lambda: WebhookDelivery.objects.filter(status="pending", attempts__gte=1).exists())
    page.get_by_role("link", name="What became of each").click()
    expect(page.locator("#result_list, .result-list, table").first).to_contain_text("customer.registered")
    assert fits(page)
    page.goto(f"{DELIVERIES}{WebhookDelivery.objects.get().pk}/change/")
    expect(page.get_by_text("closed for today")).to_be_visible()
    assert fits(page)
    receiver.answer = lambda _: Reply()
    page.get_by_role("link", name="Send again").click()
    page.get_by_role("button", name="Yes, send again").click()
    eventually(lambda: WebhookDelivery.objects.filter(status="done").exists())
    page.reload()
    expect(page.locator(".tag-done")).to_be_visible()
