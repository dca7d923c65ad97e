"""A row that could not be changed: its page says so, leads to the event, and is right once that is mended."""

from playwright.sync_api import expect

from eventstore.commands import dispatch
from ordering.domain.customer import ChangeCustomer
from tests.integration import shop
from tests.integration.poison import poisoned


def test_an_operator_finds_out_why_a_page_is_out_of_date(page, log_in):
    log_in(superuser=True)
    customer = shop.customer(name="Grace")
    here = f"/admin/ordering/customerprofile/{customer}/change/"
    with poisoned():
        dispatch(ChangeCustomer(customer_id=customer, name="poison"))
        page.goto(here)
        banner = page.locator("#out-of-date")
        expect(banner).to_contain_text("The customer is called poison instead of Grace.")
        expect(banner.get_by_role("link", name="Rebuild this row")).to_be_visible()
        banner.get_by_role("link").nth(1).click()
        page.wait_for_url("**/parkedevent/*/change/")
        expect(page.get_by_text("CheckViolation").first).to_be_visible()
    page.goto(here)
    page.get_by_role("link", name="Rebuild this row").click()
    page.get_by_role("button", name="Yes, rebuild one key").click()
    page.wait_for_url(f"**{here}")
    for _ in range(60):
        page.reload()
        if not page.locator("#out-of-date").count():
            break
        page.wait_for_timeout(500)
    expect(page.locator("#out-of-date")).to_have_count(0, timeout=1_000)
    expect(page.get_by_text("poison", exact=True).first).to_be_visible()
