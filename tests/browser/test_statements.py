"""A bank statement, as those see it who book it."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.context import acting
from ordering.domain.payment import AcceptPayment
from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSummary, OrderSummary
from ordering.providers.references import reference_of
from tests.integration import shop
from tests.integration.processes import eventually


@pytest.fixture
def order(site):
    """Of two seats, which wait for their payment."""
    order_id = shop.order(shop.customer("Grace Hopper"), ConferenceSummary.objects.get(name="PyCon").pk, 2)
    eventually(lambda: OrderSummary.objects.filter(pk=order_id, status="awaiting_payment").exists())
    return OrderSummary.objects.get(pk=order_id)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")])
def test_a_statement_is_uploaded_looked_at_booked_and_fed_again(page, log_in, order, tmp_path, width, scheme):
    beside = OrderSummary.objects.filter(status="awaiting_payment").exclude(pk=order.pk)[0].pk
    file = tmp_path / "statement.csv"
    transfer = f"2026-11-27;199,00;{reference_of(payment_id_of(order.pk))};Grace Hopper"
    two_orders = f"2026-11-27;7,00;{' '.join(reference_of(payment_id_of(each)) for each in (order.pk, beside))};Both"
    others = "2026-11-27;5,00;thank you;Somebody\n2026-11-27;-9,00;fees;Bank"
    file.write_text(f"Buchungstag;Betrag (EUR);Verwendungszweck;Auftraggeber\n{transfer}\n{two_orders}\n{others}\n")
    log_in("ordering.book_statement", "ordering.view_unmatchedmoney", "ordering.view_ordersummary")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})

    def look():
        page.goto("/admin/ordering/unmatchedmoney/statement/")
        page.screenshot(path=tmp_path / "upload.png", full_page=True)
        page.get_by_label("Statement").set_input_files(file)
        page.get_by_role("button", name="Look at it").click()

    look()
    expect(page.get_by_role("region", name="Matched")).to_contain_text(order.number)
    expect(page.get_by_role("region", name="Doubtful").get_by_role("link")).to_have_count(2)
    expect(page.get_by_role("region", name="Unknown")).to_contain_text("thank you")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for link in page.get_by_role("region", name="Doubtful").get_by_role("link").all():
        assert (link.bounding_box() or {})["height"] < 40, "the number of an order stands in one line"
    page.screenshot(path=tmp_path / "lines.png", full_page=True)
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_text("Credited to orders: 1.")).to_be_visible()
    eventually(lambda: OrderSummary.objects.filter(pk=order.pk, status="confirmed").exists())
    look()
    expect(page.get_by_role("region", name="Known already")).to_contain_text("199.00 EUR")
    expect(page.get_by_text("2 lines, 206.00 EUR")).to_be_visible()
    expect(page.get_by_role("region", name="Matched")).to_have_count(0)
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_text("Credited to orders: 0. To be assigned: 0. Known already: 2.")).to_be_visible()
    assert OrderSummary.objects.get(pk=order.pk).received == order.total


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")])
def test_a_transfer_that_was_recorded_by_hand_is_asked_about_once(page, log_in, order, tmp_path, width, scheme):
    with acting(actor="manage.py"):
        recorded = AcceptPayment(
            payment_id=payment_id_of(order.pk), amount=shop.PRICE, reference=order.number, provider="bank-transfer"
        )
        dispatch(recorded)
    eventually(lambda: OrderSummary.objects.filter(pk=order.pk, received=shop.PRICE.amount).exists())
    file = tmp_path / "statement.csv"
    transfer = f"{timezone.now():%Y-%m-%d};99,50;{reference_of(payment_id_of(order.pk))};Grace Hopper"
    file.write_text(f"Buchungstag;Betrag (EUR);Verwendungszweck;Auftraggeber\n{transfer}\n")
    log_in("ordering.book_statement", "ordering.view_unmatchedmoney")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})

    def look():
        page.goto("/admin/ordering/unmatchedmoney/statement/")
        page.get_by_label("Statement").set_input_files(file)
        page.get_by_role("button", name="Look at it").click()

    look()
    asked = page.get_by_role("region", name="Recorded by hand?")
    expect(asked).to_contain_text(f"by manage.py, as {order.number}: the same money?")
    page.screenshot(path=tmp_path / "asked.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    asked.get_by_label("Yes, it is the same").check()
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_text("Credited to orders: 0. To be assigned: 0. Known already: 1.")).to_be_visible()
    look()
    expect(asked).to_have_count(0)
    expect(page.get_by_role("region", name="Known already")).to_contain_text("99.50 EUR")
