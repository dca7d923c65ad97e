"""The page to which the mails to those who wait lead, as they see it."""

import pytest
from playwright.sync_api import expect

from eventstore import repository
from eventstore.commands import dispatch
from eventstore.errors import StreamNotFound
from ordering.domain.order import CancelOrder
from ordering.domain.waitlist import Place, Waitlist, waitlist_id_of
from ordering.pages.links import waitlist_token
from tests.integration import shop
from tests.integration.processes import eventually


@pytest.fixture
def conference(site):
    return shop.conference_on_sale(1, name="Logs & Tails")


@pytest.fixture
def order(conference):
    """The order that has the only seat."""
    return shop.order(shop.customer(), conference)


@pytest.fixture
def entry(conference, order):
    """Of a customer whose order was refused; it waits."""
    refused = shop.order(shop.customer("Grace Hopper"), conference)
    eventually(lambda: place(conference, refused) is Place.WAITING)
    return refused


def place(conference, entry):
    try:
        entries = repository.get(Waitlist, waitlist_id_of(conference)).entries
    except StreamNotFound:
        return None
    return entries[entry].place if entry in entries else None


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_waits_is_offered_a_seat_and_orders_it(page, conference, order, entry, tmp_path, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"/waitlist/{waitlist_token(conference, entry)}")
    expect(page.get_by_role("button", name="Leave the waitlist")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "waits.png", full_page=True)
    dispatch(CancelOrder(order_id=order))
    eventually(lambda: place(conference, entry) is Place.OFFERED)
    page.reload()
    expect(page.get_by_text("Kept for you until")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "offered.png", full_page=True)
    page.get_by_role("button", name="Order the seats").click()
    expect(page.get_by_role("link", name="Pay now")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "ordered.png", full_page=True)
