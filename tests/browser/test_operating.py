"""What staff do about a parked event and about an incident, from the front page to the records."""

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from eventstore.commands import dispatch
from eventstore.models import DiscardedEvent, Incident, OperatorAction, ParkedEvent
from eventstore.testing.subscribers import given
from ordering.domain.customer import ChangeCustomer
from ordering.domain.seats import PricedLine, SeatsReserved
from ordering.models import CustomerProfile
from tests.integration import shop
from tests.integration.poison import poisoned
from tests.integration.processes import eventually

NAME = "customer-profiles"


@pytest.fixture
def poison(site):
    with poisoned() as poison:
        yield poison


def parked_customer():
    customer = shop.customer("Ada")
    dispatch(ChangeCustomer(customer_id=customer, name="poison"))
    return customer


def test_staff_see_a_parked_event_on_the_front_page_and_retry_all_of_its_error(page, log_in, poison):
    customers = [parked_customer() for _ in range(2)]
    user = log_in(superuser=True)
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text(f"{NAME} failed on 2 events")
    verdict.get_by_role("link", name=NAME).click()
    expect(page.locator("[data-key]")).to_have_count(2)
    poison.mend()
    page.locator("[data-error]").get_by_role("link", name="Retry all with this error").click()
    expect(page.get_by_text("2 of its keys are tried again")).to_be_visible()
    page.get_by_role("button", name="Yes, retry").click()
    expect(page.get_by_text(f"{NAME}: 2 of 2 keys are live again")).to_be_visible()
    expect(page.locator("[data-key]")).to_have_count(0)
    expect(page.locator("#actions")).to_contain_text(user.username)
    page.goto("/admin/")
    expect(verdict).to_contain_text("All is well")
    assert set(CustomerProfile.objects.filter(name="poison").values_list("pk", flat=True)) == set(customers)


def test_staff_discard_a_parked_event_for_a_reason_that_is_kept(page, log_in, poison):
    customer = parked_customer()
    user = log_in("eventstore.view_subscriberrow", "eventstore.discard_parked")
    page.goto(f"/admin/eventstore/subscriberrow/of/{NAME}/")
    page.locator(f"[data-key='{customer}']").get_by_role("link", name="Discard").click()
    expect(page.get_by_text("not in a rebuild either")).to_be_visible()
    page.get_by_role("button", name="Yes, discard").click()
    expect(page.get_by_role("alert")).to_contain_text("This field is required.")
    assert ParkedEvent.objects.filter(key=str(customer)).exists()
    page.get_by_label("Reason").fill("a test customer")
    page.get_by_role("button", name="Yes, discard").click()
    expect(page.get_by_text(f"{NAME}: discarded 1")).to_be_visible()
    expect(page.locator("#discarded")).to_contain_text("a test customer")
    assert not ParkedEvent.objects.exists()
    assert DiscardedEvent.objects.get().by == user.username
    assert OperatorAction.objects.filter(operation="discard", by=user.username, refused=False).count() == 1
    assert CustomerProfile.objects.get(pk=customer).name == "Ada"


def test_staff_see_on_the_front_page_which_event_oversold_a_conference_and_resolve_the_incident(page, log_in, site):
    conference = shop.conference_on_sale(capacity=1)
    lines = (PricedLine("standard", 2, shop.PRICE),)
    reserved = SeatsReserved(conference_id=conference, order_id=uuid4(), lines=lines, total=shop.PRICE * 2)
    (broke,) = given(conference, reserved, category="conference")
    eventually(lambda: Incident.objects.filter(kind="oversold", ended_at=None).exists(), what="the watch finds it")
    user = log_in(superuser=True)
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text(f"seats.reserved at position {broke.position}")
    verdict.get_by_role("link", name=f"seat type standard of conference {conference}").click()
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option(label="Resolve the selected")
    page.get_by_title("Run the selected action").click()
    page.get_by_label("Reason").fill("The hall has a gallery.")
    page.get_by_role("button", name="Yes, resolve").click()
    expect(page.get_by_text("resolved.")).to_be_visible()
    assert not Incident.objects.filter(kind="oversold", ended_at=None).exists()
    assert OperatorAction.objects.filter(operation="resolve-incident", by=user.username, refused=False).count() == 1


def test_selected_parked_events_are_retried_from_their_list(page, log_in, poison):
    customer = parked_customer()
    log_in("eventstore.view_parkedevent", "eventstore.resolve_parked")
    page.goto("/admin/eventstore/parkedevent/")
    poison.mend()
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option(label="Retry the keys of the selected")
    page.get_by_title("Run the selected action").click()
    expect(page.get_by_text("1 of its keys are tried again")).to_be_visible()
    page.get_by_role("button", name="Yes, retry").click()
    expect(page.get_by_text("1 of 1 keys are live again")).to_be_visible()
    assert CustomerProfile.objects.get(pk=customer).name == "poison"
