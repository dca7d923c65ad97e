"""The front page in a browser: it keeps what its reader unfolded and where they are, and the menu leads everywhere."""

import re

import pytest
from playwright.sync_api import expect

from eventstore.models import ParkedEvent, StoredEvent
from tests.integration import shop


@pytest.fixture
def parked(site):
    order = shop.order(shop.customer("Ada"), shop.conference_on_sale())
    placed = StoredEvent.objects.get(stream_id=order, version=1)
    who = {"subscriber": "order-summaries", "key": str(order), "position": placed.position}
    yield ParkedEvent.objects.create(**who, error="KeyError")
    ParkedEvent.objects.all().delete()


def polled(page):
    with page.expect_response(re.compile("/admin/status/")):
        pass
    page.wait_for_timeout(100)


def test_what_is_unfolded_and_where_the_keyboard_is_outlast_a_refresh(page, log_in):
    log_in(superuser=True)
    summary = page.locator("#up-to-date-line")
    summary.focus()
    page.keyboard.press("Enter")
    last = page.locator("#up-to-date table a").last
    expect(last).to_be_visible()
    polled(page)
    expect(page.locator("#up-to-date")).to_have_attribute("open", "")
    expect(summary).to_be_focused()
    last.focus()
    polled(page)
    expect(last).to_be_focused()


def test_a_problem_leads_to_where_it_is_mended_and_to_the_order_that_it_concerns(page, log_in, parked):
    log_in(superuser=True)
    problem = page.locator("[data-problem=order-summaries]")
    expect(problem).to_contain_text("failed on 1 event")
    expect(page.locator("#verdict-line")).to_contain_text("1 problem, for")
    problem.get_by_role("link", name="BX-").click()
    expect(page).to_have_url(re.compile("/admin/ordering/ordersummary/"))
    page.go_back()
    problem.get_by_role("link", name="Parked events").click()
    expect(page).to_have_url(re.compile("/of/order-summaries/"))


def test_the_menu_counts_the_problems_and_their_page_has_all_of_them(page, log_in, parked):
    log_in(superuser=True)
    page.reload()
    page.locator("#nav-sidebar").get_by_role("link", name="Problems 1").click()
    expect(page.locator("[data-problem=order-summaries]")).to_be_visible()
    page.locator("#tabs-items").get_by_role("link", name="Parked events").click()
    expect(page.locator("#result_list")).to_contain_text("order-summaries")


@pytest.mark.parametrize("width", [400, 1440])
def test_nothing_of_it_is_wider_than_the_window(page, log_in, parked, width):
    log_in(superuser=True)
    page.set_viewport_size({"width": width, "height": 900})
    for address in ("/admin/", "/admin/problems/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
