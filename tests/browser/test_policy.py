"""The content security policy hinders no page: whatever is opened, the browser refuses nothing. What it refuses it says
in its console, where the fixture `page` takes it for a fault.
"""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import expect

from eventstore.models import StoredEvent
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary
from tests.integration import shop

POLICY = "content-security-policy"


@pytest.fixture
def boss(log_in):
    return log_in(superuser=True)


def lists():
    names = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
    return [reverse(f"admin:{name}_changelist") for name in names]


def rows():
    """The page of one of each, by its model."""
    return [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[model.objects.all()[0].pk])
        for model in (OrderSummary, ConferenceSummary, CustomerProfile, StoredEvent, User)
    ]


def forms():
    order, conference = OrderSummary.objects.all()[0], ConferenceSummary.objects.all()[0]
    return [
        reverse("admin:ordering_ordersummary_act", args=[order.pk, "cancel"]),
        reverse("admin:ordering_conferencesummary_act", args=[conference.pk, "move"]),
        reverse("admin:ordering_conferencesummary_add"),
        reverse("admin:auth_user_add"),
        reverse("admin:auth_group_add"),
        reverse("admin:ordering_statement"),
        reverse("admin:eventstore_import_upload", args=["customers"]),
        reverse("admin:eventstore_operation", args=["pause", "customer-profiles"]),
        reverse("admin:eventstore_subscriber", args=["customer-profiles"]),
        reverse("admin:eventstore_event_types"),
        reverse("admin:ordering_trial_balance"),
        reverse("admin:password_change"),
    ]


@pytest.mark.parametrize("pages", [lists, rows, forms])
def test_no_page_of_the_admin_does_what_it_may_not(page, boss, pages):
    for address in pages():
        answer = page.goto(address)
        assert answer.status == 200, address
        assert "script-src 'self' 'unsafe-eval'" in answer.headers[POLICY], address


def test_the_menus_of_the_admin_open(page, boss):
    page.goto(reverse("admin:ordering_ordersummary_changelist"))
    page.get_by_text("Filters").first.click()
    expect(page.get_by_text("Filters").last).to_be_visible()
    page.goto(reverse("admin:auth_user_change", args=[boss.pk]))
    expect(page.locator("#id_user_permissions_from, #id_user_permissions").first).to_be_attached()


def test_the_page_of_the_api_shows_its_calls_and_tries_them(page):
    assert "unsafe" not in page.goto("/api/v1/docs").headers[POLICY]
    call = page.locator(".opblock", has=page.get_by_text("/api/v1/conferences", exact=True)).first
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")


def test_pages_for_customers_are_whole(page):
    page.goto(shop.profile_path(CustomerProfile.objects.all()[0].pk))
    expect(page.locator("main")).to_be_visible()


@pytest.mark.parametrize("address", ["/nothing/", "/profile/x", "/admin/nothing/", "/admin/auth/user/0/change/"])
def test_pages_that_tell_of_a_fault_are_whole(browser, site, address):
    said: list[str] = []
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.on("console", lambda each: said.append(each.text))
    page.goto(address)
    context.close()
    assert [each for each in said if "Security Policy" in each] == []
