"""Somebody reads the log: what happened, what caused it, and how it came to be as it is."""

import re

from playwright.sync_api import expect

from eventstore.models import StoredEvent
from tests.integration import shop
from tests.integration.processes import eventually

LOG = "/admin/eventstore/storedevent/"


def test_new_events_appear_while_somebody_looks(page, log_in):
    log_in("eventstore.view_storedevent")
    page.goto(LOG)
    live = page.get_by_role("switch", name="Live")
    expect(live).to_have_attribute("aria-checked", "false")
    live.click()
    expect(page.locator("#log-said")).to_contain_text("Live")
    customer = shop.customer("Grace Hopper")
    expect(page.locator("#log-rows tr.fresh", has_text=str(customer)).first).to_be_visible()
    live.click()
    eventually(lambda: page.locator("#log-said").inner_text() == "")


def test_the_log_is_filtered(page, log_in):
    log_in("eventstore.view_storedevent")
    page.goto(LOG)
    page.get_by_label("Type").select_option("order.placed")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#log-rows tr")).to_have_count(StoredEvent.objects.filter(type="order.placed").count())
    page.get_by_label("Data").fill("order_id=nothing")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#log-searched")).to_contain_text(re.compile(r"Looked at all \d+ events"))
