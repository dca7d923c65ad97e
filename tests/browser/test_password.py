"""The page to which the mail about a forgotten password leads, as its customer sees it."""

import re

import pytest
import requests
from playwright.sync_api import expect

from eventstore import repository
from ordering.api import logins
from ordering.domain.customer import Customer
from tests.integration import shop
from tests.integration.processes import eventually

NEW = "a new horse battery"


@pytest.fixture
def email(site):
    """Of a customer with a login."""
    customer = shop.customer()
    logins.open_for(customer, "correct horse battery")
    return repository.get(Customer, customer).email


@pytest.fixture
def path(site, mails, email):
    """Where the link of the mail leads on this site."""
    assert requests.post(f"{site}/api/v1/auth/password/reset", json={"email": email}, timeout=60).status_code == 202

    def link():
        texts = [mail.get_body(("plain",)).get_content() for mail in mails.received if mail["To"] == email]
        return next((found[0] for text in texts if (found := re.search(r"/password/\S+", text))), None)

    return eventually(link)


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_customer_chooses_a_new_password(page, site, email, path, tmp_path, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    referrers = []
    page.on("request", lambda asked: referrers.append(asked.all_headers().get("referer", "")))
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    for label in ("New password", "New password confirmation"):
        page.get_by_label(label, exact=True).fill(NEW)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("heading", name="Your password is changed")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "chosen.png", full_page=True)
    assert set(referrers) <= {"", f"{site}/"}
    signed_in = requests.post(f"{site}/api/v1/auth/token", json={"email": email, "password": NEW}, timeout=60)
    assert signed_in.status_code == 201


@pytest.mark.parametrize("width", [390, 1400])
def test_without_scripts_it_says_what_is_wrong_with_a_password(browser, site, path, tmp_path, width):
    context = browser.new_context(base_url=site, java_script_enabled=False, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(path)
    for label in ("New password", "New password confirmation"):
        page.get_by_label(label, exact=True).fill("short")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("This password is too short")).to_be_visible()
    page.screenshot(path=tmp_path / "refused.png", full_page=True)
    context.close()
