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


def test_from_an_event_to_its_cause_and_to_its_stream(page, log_in):
    log_in("eventstore.view_storedevent", "sagas.view_outboxcommand")
    confirmed = StoredEvent.objects.get(type="order.confirmed")
    page.goto(f"{LOG}?type=order.confirmed")
    page.locator("#log-rows").get_by_role("link", name="order.confirmed").click()
    expect(page.locator("#chain [aria-current]")).to_contain_text("order.confirmed")
    page.locator("#chain").get_by_role("link", name="payment.accepted").click()
    expect(page.locator("#chain [aria-current]")).to_contain_text("payment.accepted")
    page.go_back()
    page.get_by_role("link", name="Its stream").click()
    expect(page.locator("#state")).to_contain_text(f"after version {confirmed.version}")
    expect(page.locator("#timeline li[aria-current] mark").first).to_have_text("confirmed")


def test_a_slider_and_keys_go_through_a_stream(page, log_in):
    log_in("eventstore.view_storedevent")
    confirmed = StoredEvent.objects.get(type="order.confirmed")
    page.goto(f"{LOG}streams/{confirmed.stream_id}/")
    state, slider = page.locator("#state"), page.get_by_role("slider", name="Version")
    expect(state).to_contain_text('"status": "confirmed"')
    slider.fill("1")
    expect(state).to_contain_text("after version 1")
    expect(state).to_contain_text('"status": "placed"')
    expect(page).to_have_url(re.compile(r"\?version=1$"))
    slider.press("ArrowRight")
    expect(state).to_contain_text("after version 2")
    page.locator("#timeline").click(position={"x": 5, "y": 5})
    slider.blur()
    page.keyboard.press("ArrowRight")
    expect(state).to_contain_text("after version 3")
    page.get_by_role("link", name="Previous").click()
    expect(state).to_contain_text("after version 2")
    expect(page.get_by_label("Number of the version")).to_have_value("2")
