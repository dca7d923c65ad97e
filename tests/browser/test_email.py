"""The page to which mails lead that have an address confirmed, as its customer sees it."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import requests
from django.utils import timezone
from playwright.sync_api import expect

from eventstore import repository
from ordering.domain.customer import Customer
from ordering.pages import links
from tests.integration.processes import eventually


@pytest.fixture
def customer(site):
    """Who has just registered."""
    body = {"name": "Ada", "email": f"{uuid4().hex}@example.org", "password": "correct horse battery"}
    answer = requests.post(f"{site}/api/v1/customers", json=body, timeout=20)
    assert answer.status_code == 201
    return repository.get(Customer, UUID(answer.json()["id"]))


def mailed(mails, email, count=1):
    """Where the link of the last mail leads on this site, once there are so many."""

    def link():
        texts = [mail.get_body(("plain",)).get_content() for mail in mails.received if mail["To"] == email]
        found = [each[0] for text in texts if (each := re.search(r"/email/\S+", text))]
        return found[-1] if len(found) >= count else None

    return eventually(link)


def is_confirmed(customer):
    return repository.get(Customer, customer.id).email_confirmed


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_customer_confirms_their_address(page, site, mails, customer, tmp_path, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    referrers = []
    page.on("request", lambda asked: referrers.append(asked.all_headers().get("referer", "")))
    page.goto(mailed(mails, customer.email))
    expect(page.get_by_text(customer.email)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "asked.png", full_page=True)
    assert not is_confirmed(customer)
    page.get_by_role("button", name="Confirm the address").click()
    expect(page.get_by_role("heading", name="Your address is confirmed")).to_be_visible()
    page.screenshot(path=tmp_path / "confirmed.png", full_page=True)
    assert is_confirmed(customer)
    page.reload()
    expect(page.get_by_role("heading", name="Your address is confirmed")).to_be_visible()
    assert set(referrers) <= {"", f"{site}/"}


@pytest.mark.parametrize("width", [390, 1400])
def test_without_scripts_an_outdated_link_sends_another(browser, site, mails, customer, tmp_path, width):
    context = browser.new_context(base_url=site, java_script_enabled=False, viewport={"width": width, "height": 900})
    page = context.new_page()
    mailed(mails, customer.email)
    since = timezone.now() - timedelta(minutes=61)
    page.goto(f"/email/{links.email_token(customer.id, customer.email, customer.email_number, since)}")
    expect(page.get_by_role("heading", name="This link is over")).to_be_visible()
    page.screenshot(path=tmp_path / "over.png", full_page=True)
    page.get_by_role("button", name="Send another mail").click()
    expect(page.get_by_role("heading", name="Look into your mails")).to_be_visible()
    page.screenshot(path=tmp_path / "sent.png", full_page=True)
    page.goto(mailed(mails, customer.email, 2))
    page.get_by_role("button", name="Confirm the address").click()
    expect(page.get_by_role("heading", name="Your address is confirmed")).to_be_visible()
    assert is_confirmed(customer)
    context.close()
