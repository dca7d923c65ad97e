"""The page of the sandbox, as those see it who play the customer."""

import pytest
from playwright.sync_api import expect

from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSummary, OrderSummary
from ordering.pages.links import sandbox_path
from tests.integration import shop
from tests.integration.processes import eventually


@pytest.fixture
def order(site):
    """Of two seats, which wait for their payment."""
    order_id = shop.order(shop.customer("Grace Hopper"), ConferenceSummary.objects.get(name="PyCon").pk, 2)
    eventually(lambda: OrderSummary.objects.filter(pk=order_id, status="awaiting_payment").exists())
    return order_id


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_part_is_paid_and_then_the_rest(page, order, tmp_path, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(sandbox_path(payment_id_of(order)))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "asked.png", full_page=True)
    page.get_by_label("Another amount").fill("50")
    page.get_by_role("button", name="Pay it").click()
    eventually(lambda: OrderSummary.objects.filter(pk=order, due="149.00").exists())
    eventually(lambda: len(OrderSummary.objects.get(pk=order).payments) == 2)
    page.get_by_role("link", name="Look again").click()
    page.get_by_role("link", name="pay 149.00 EUR").click()
    page.screenshot(path=tmp_path / "rest.png", full_page=True)
    page.get_by_role("button", name="Pay 149.00 EUR", exact=True).click()
    eventually(lambda: OrderSummary.objects.filter(pk=order, status="confirmed").exists())
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text("The order is paid.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "paid.png", full_page=True)
