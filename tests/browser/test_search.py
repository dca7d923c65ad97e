"""The search as a dialog over any page of the admin, and as a page of its own."""

import pytest
from playwright.sync_api import expect

from ordering.models import OrderSummary

ORDERS = "/admin/ordering/ordersummary/"


@pytest.fixture
def number(log_in):
    log_in(superuser=True)
    return OrderSummary.objects.get(status="confirmed").number


def palette(page):
    return page.get_by_role("dialog", name="Search")


def field(page):
    return palette(page).get_by_role("searchbox")


def results(page):
    return palette(page).get_by_role("link")


@pytest.mark.parametrize("key", ["/", "Control+k", "Meta+k"])
def test_a_key_opens_the_search_and_enter_goes_to_what_is_found(page, number, key):
    page.goto(ORDERS)
    page.keyboard.press(key)
    expect(field(page)).to_be_focused()
    page.keyboard.type(number.lower())
    expect(results(page)).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ordersummary/*/change/")
    expect(page.get_by_text(number).first).to_be_visible()


def test_arrows_walk_through_what_is_found(page, number):
    page.goto(ORDERS)
    page.get_by_role("link", name="Search").click()
    page.keyboard.type("sales")
    expect(results(page).first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(results(page).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(results(page).nth(1)).to_be_focused()
    there = results(page).nth(1).get_attribute("href")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(field(page)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{there}")


def test_escape_closes_the_search_and_the_focus_goes_back(page, number):
    page.goto(ORDERS)
    before = page.get_by_role("link", name=number)
    before.focus()
    page.keyboard.press("/")
    page.keyboard.type("nothing of that name")
    expect(palette(page).get_by_text("Nothing is found for")).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette(page)).to_be_hidden()
    expect(before).to_be_focused()


def test_a_slash_in_a_field_is_a_slash(page, number):
    page.goto(ORDERS)
    page.locator("#searchbar").fill("")
    page.locator("#searchbar").press("/")
    expect(page.locator("#searchbar")).to_have_value("/")
    expect(palette(page)).to_be_hidden()


def test_one_question_is_asked_at_a_time_and_the_last_one_is_answered(page, number):
    page.goto(ORDERS)
    asked, under_way, most = [], 0, 0

    def begin(request):
        nonlocal under_way, most
        if "/search/?" in request.url:
            asked.append(request.url)
            under_way += 1
            most = max(most, under_way)

    def end(request):
        nonlocal under_way
        under_way -= "/search/?" in request.url

    page.on("request", begin)
    page.on("requestfinished", end)
    page.keyboard.press("/")
    page.keyboard.type(number, delay=90)
    expect(results(page)).to_have_count(1)
    expect(results(page).first).to_contain_text(number)
    assert most == 1
    assert len(asked) < len(number)


def test_each_page_of_the_admin_has_the_search_in_its_header(page, number):
    for address in ("/admin/", ORDERS, "/admin/auth/user/", "/admin/search/", "/admin/eventstore/subscriberrow/"):
        page.goto(address)
        expect(page.locator("#search-opener")).to_be_visible()


def test_the_page_of_the_search_needs_no_script_of_its_own(page, number):
    page.goto("/admin/search/")
    page.locator("#search-text").fill(number)
    page.locator("#search").get_by_role("button", name="Search").click()
    page.wait_for_url("**/search/?q=*")
    page.locator("#found").get_by_role("link", name=number).click()
    page.wait_for_url("**/ordersummary/*/change/")
