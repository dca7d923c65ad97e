"""The pages for operators that the docs show, as they are."""

import re
from datetime import timedelta
from math import sin

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.models import Sample
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Resume
from eventstore.subscriptions import gaps
from ordering.domain.customer import ChangeCustomer
from ordering.models import ConferenceSummary, OrderSummary
from projections.operations import Rebuild, Throttle
from sagas.models import Delivery
from tests.browser.pictures import Camera
from tests.integration import shop
from tests.integration.poison import poisoned
from tests.integration.processes import eventually

pytestmark = pytest.mark.long

SUBSCRIBER = "/admin/eventstore/subscriberrow/of/{}/"
PROJECTIONS = "/admin/projections/generation/"
ORDERS = "order-summaries"


@pytest.fixture
def looks():
    return {"viewport": {"width": 1200, "height": 760}}


@pytest.fixture
def camera(page, log_in):
    user = log_in(superuser=True, name="admin")
    yield Camera(page)
    user.delete()


def sell(seats: int = 1) -> None:
    conference = ConferenceSummary.objects.get().pk
    order = shop.order(shop.customer("Grace Hopper"), conference, seats)
    shop.pay(order, seats)
    eventually(OrderSummary.objects.filter(pk=order, status="confirmed").exists)


def an_hour_passes():
    """The last hour of a quiet sale, as workers would have sampled it."""
    now = timezone.now().replace(second=0, microsecond=0)
    for ago in range(1, 60):
        orders, mails = max(0, round(4 * sin(ago / 6) + 2)), max(0, round(5 * sin(ago / 6 - 0.2) + 3))
        figures = {"orders": orders, "mails": mails, "lag": ago % 7 / 10, "parked": 2 * (20 < ago < 26)}
        sample = {"position": 0, "seconds": 60, "events": 9 * orders + mails, "figures": figures}
        Sample.objects.update_or_create(minute=now - timedelta(minutes=ago), defaults=sample)


def test_the_front_page(page, camera):
    an_hour_passes()
    page.set_viewport_size({"width": 1400, "height": 900})
    sell(3)
    eventually(lambda: not Delivery.objects.exclude(status="done").exists())
    page.goto("/admin/")
    expect(page.get_by_role("link", name="Sales today")).to_contain_text("497.50 EUR")
    expect(page.locator("#verdict")).to_contain_text("All is well")
    camera.take("front-page")


def test_a_gap(page, camera):
    name = "sales-by-day"
    perform(Pause(target=name), by="admin")
    try:
        sell()
        eventually(lambda: gaps.pending(name).count == 2)
        page.goto(SUBSCRIBER.format(name))
        expect(page.get_by_text("2 events missing")).to_be_visible()
        camera.take("gap")
    finally:
        perform(Resume(target=name), by="admin")


def test_a_rebuild_on_its_way(page, camera):
    perform(Rebuild(target=ORDERS, throttle=1), by="admin")
    try:
        page.goto(PROJECTIONS)
        progress = page.locator(f"[data-rebuild={ORDERS}]")
        expect(progress).to_contain_text(re.compile(r"\b[3-6]\d\.\d %"))
        camera.take("rebuild")
    finally:
        perform(Throttle(target=ORDERS), by="admin")
    expect(progress).to_have_count(0)


def test_rows_that_are_not_what_their_events_say(page, camera):
    wrong = OrderSummary.objects.filter(status="confirmed")[:2].values("pk")
    OrderSummary.objects.filter(pk__in=list(wrong.values_list("pk", flat=True))).update(status="awaiting_payment")
    page.goto(PROJECTIONS)
    page.locator(f"[data-projection={ORDERS}]").get_by_role("link", name="Verify").click()
    page.get_by_role("button", name="Yes, verify").click()
    found = page.locator(f"[data-verified={ORDERS}]")
    expect(found).to_contain_text("2 of 4 rows are not what their events say")
    camera.take("verified")
    found.get_by_role("link", name="see which").click()
    expect(page.get_by_text("differs")).to_have_count(2)
    page.get_by_text("differs").last.scroll_into_view_if_needed()
    camera.take("differences")


def test_a_parked_event(page, camera):
    page.set_viewport_size({"width": 1200, "height": 1000})
    with poisoned() as poison:
        customer = shop.customer("Ada")
        dispatch(ChangeCustomer(customer_id=customer, name="poison"))
        page.goto(SUBSCRIBER.format("customer-profiles"))
        key = page.locator(f"[data-key='{customer}']")
        expect(key.get_by_role("link", name="Discard")).to_be_visible()
        camera.take("parked")
        poison.mend()
        key.get_by_role("link", name="Retry").click()
        page.get_by_role("button", name="Yes, retry").click()
        expect(key).to_have_count(0)
