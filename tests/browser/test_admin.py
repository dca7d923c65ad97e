"""The admin as the people see it who run a site."""

import re
from contextlib import contextmanager

import pytest
from django.db import transaction
from playwright.sync_api import expect

from eventstore.models import OperatorAction, SubscriberRow
from eventstore.subscriptions.registry import registry
from ordering.models import OrderSummary
from projections.models import Generation

PROJECTIONS = "/admin/projections/generation/"
OPERATE = "/admin/eventstore/subscriberrow/operate/"
NAME = "order-summaries"
MAY_REBUILD = ("projections.view_generation", "projections.rebuild_projection")


@contextmanager
def somebody_reads_the_table():
    """A transaction that has read the orders, so that the table can't be swapped until it ends."""
    with transaction.atomic("owner"):
        OrderSummary.objects.using("owner").first()
        yield


@pytest.fixture
def rebuild(page, log_in):
    """Ask for a rebuild of the orders, up to the page that shows its progress."""

    def begin():
        user = log_in(*MAY_REBUILD)
        page.goto(PROJECTIONS)
        page.locator(f"[data-projection={NAME}]").get_by_role("link", name="Rebuild").click()
        expect(page.get_by_text("ordering_ordersummary")).to_be_visible()
        page.get_by_role("button", name="Yes, rebuild").click()
        expect(page.get_by_text("is being folded")).to_be_visible()
        return user

    return begin


def test_the_front_page_says_that_all_is_well_and_shows_every_subscriber(page, log_in):
    log_in(superuser=True)
    expect(page.locator("#verdict")).to_contain_text("All is well")
    for subscriber in registry:
        row = page.locator(f"[data-subscriber='{subscriber.name}']")
        expect(row).to_contain_text("running")
        expect(row).to_contain_text("nothing")
    expect(page.get_by_role("link", name="Sales today")).to_contain_text("199.00 EUR")


def test_the_front_page_tells_by_itself_what_goes_wrong_and_when_it_is_mended(page, log_in):
    log_in(superuser=True)
    halted = SubscriberRow.objects.filter(name=NAME)
    halted.update(status="halted", last_error="ZeroDivisionError")
    try:
        expect(page.locator("#verdict")).to_contain_text(f"{NAME} has halted: ZeroDivisionError")
    finally:
        halted.update(status="running", last_error="")
    expect(page.locator("#verdict")).to_contain_text("All is well")


def test_a_rebuild_is_confirmed_then_watched_until_it_is_live(page, rebuild):
    with somebody_reads_the_table():
        user = rebuild()
        progress = page.locator(f"[data-rebuild={NAME}]")
        expect(progress).to_contain_text("100.0 %")
        expect(progress).to_contain_text("waits for its turn at the table")
        expect(progress).to_contain_text(user.username)
    expect(progress).to_have_count(0)
    expect(page.locator("#projections")).to_contain_text("Last rebuild: done")
    generation = Generation.objects.filter(projection=NAME, status="live").get()
    assert generation.requested_by == user.username
    assert OperatorAction.objects.filter(by=user.username, operation="rebuild", target=NAME, refused=False).count() == 1


def test_a_rebuild_can_be_cancelled(page, rebuild):
    with somebody_reads_the_table():
        rebuild()
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("button", name="Yes, cancel").click()
        expect(page.locator("#projections")).to_contain_text("Last rebuild: cancelled")
    assert OrderSummary.objects.count() == 2


def test_without_the_permission_there_is_no_rebuild(page, log_in):
    log_in("projections.view_generation")
    page.goto(PROJECTIONS)
    expect(page.locator(f"[data-projection={NAME}]")).to_be_visible()
    expect(page.get_by_role("link", name="Rebuild")).to_have_count(0)
    before = Generation.objects.count()
    (cookie,) = [each for each in page.context.cookies() if each["name"] == "csrftoken"]
    answer = page.context.request.post(
        f"/admin/eventstore/subscriberrow/operate/rebuild/{NAME}/",
        headers={"X-CSRFToken": cookie["value"]},
        max_redirects=0,
    )
    assert answer.status == 403
    assert Generation.objects.count() == before


def test_a_conference_is_scheduled_and_listed(page, log_in):
    log_in("ordering.view_conferencesummary", "ordering.add_conferencesummary")
    page.goto("/admin/ordering/conferencesummary/add/")
    page.get_by_label("Name").first.fill("DjangoCon Lisbon")
    page.get_by_label("Sales open").fill("2030-01-01T09:00")
    page.get_by_label("Sales close").fill("2030-07-01T09:00")
    page.get_by_label("Starts").fill("2030-06-01T09:00")
    page.get_by_role("button", name="Add a seat type").click()
    for row, (code, name, price, seats) in enumerate(
        (("std", "Standard", "199", "80"), ("stu", "Student", "79", "20"))
    ):
        fields = page.locator(".seat-row").nth(row)
        fields.get_by_label("Code").fill(code)
        fields.get_by_label("Name").fill(name)
        fields.get_by_label("Price").fill(price)
        fields.get_by_label("Seats").fill(seats)
    page.get_by_role("button", name="Schedule").click()
    expect(page.get_by_role("alert")).to_contain_text("invalid-sales-window")
    page.get_by_label("Sales close").fill("2030-05-01T09:00")
    page.get_by_role("button", name="Schedule").click()
    expect(page.get_by_text("20 of 20 left")).to_be_visible()
    expect(page.locator("#timeline")).to_contain_text("DjangoCon Lisbon was scheduled: it starts on 1 Jun 2030 09:00")
    page.goto("/admin/ordering/conferencesummary/")
    expect(page.locator("#result_list")).to_contain_text("DjangoCon Lisbon")
    expect(page.locator("#result_list")).to_contain_text("100 of 100 left")


def test_a_long_address_stays_on_the_page_of_its_customer(page, log_in):
    log_in("ordering.view_customerprofile")
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"/admin/ordering/customerprofile/{OrderSummary.objects.all()[0].customer_id}/change/")
    expect(page.locator("#timeline")).to_contain_text("was registered as")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_order_is_found_by_its_number_and_tells_its_story(page, log_in):
    number = OrderSummary.objects.get(status="confirmed").number
    log_in("ordering.view_ordersummary")
    page.goto("/admin/ordering/ordersummary/")
    page.locator("#searchbar").fill(number)
    page.locator("#searchbar").press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.get_by_role("link", name=number).click()
    for told in ("was placed: 2 × standard for 199.00 EUR", "The order is confirmed", "has sold 2 × standard"):
        expect(page.locator("#timeline")).to_contain_text(told)
    expect(page.get_by_text("2 × standard at 99.50 EUR")).to_be_visible()


def test_what_an_event_says_is_found_from_the_list_of_all_types(page, log_in):
    log_in("eventstore.view_storedevent")
    page.goto("/admin/eventstore/storedevent/")
    page.get_by_role("link", name="Event types").first.click()
    page.get_by_role("link", name="order.placed", exact=True).click()
    expect(page.locator("[data-field=lines]")).to_contain_text("list of PricedLine")
    expect(page.locator("#version-1")).to_contain_text("Version 1 is from before conferences had payment terms")
    page.get_by_role("link", name="Those in the log").click()
    expect(page).to_have_url(re.compile(r"type=order\.placed"))
    expect(page.locator("#log-rows")).to_contain_text("order.placed")


def test_the_colours_of_unfold_and_of_the_business_win_over_those_of_the_apps(page, log_in):
    log_in("ordering.view_ordersummary")
    page.goto("/admin/ordering/ordersummary/")
    style = "(tag) => [getComputedStyle(tag).color, getComputedStyle(tag).backgroundColor]"
    assert page.locator(".tag-confirmed").first.evaluate(style) == ["rgb(21, 128, 61)", "rgb(220, 252, 231)"]
    assert page.locator(".tag-awaiting_payment").first.evaluate(style) == ["rgb(29, 78, 216)", "rgb(219, 234, 254)"]
    page.evaluate("document.documentElement.classList.add('dark')")
    assert page.locator(".tag-confirmed").first.evaluate(style) == ["rgb(74, 222, 128)", "rgba(20, 83, 45, 0.5)"]


def test_whoever_is_not_let_in_reads_one_message(page, tmp_path):
    page.goto("/admin/")
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".errornote")).to_have_count(1)
    expect(page.locator(".errornote")).to_contain_text("Please enter the correct")
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=tmp_path / f"{scheme} {width}.png", full_page=True)
