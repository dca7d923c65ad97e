"""When does the welcome mail come? Not before the profile that its link leads to can be shown. And who comes to the
page too early is told that it is on its way, never that there is nobody. A client of the API is told the same.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import expect

from config.bundled.valkey import free_port
from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Resume
from ordering.domain.customer import ChangeCustomer
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.http_client import V1, Http
from tests.integration.processes import eventually, server, worker

PROFILES = "customer-profiles"
ON_ITS_WAY, CHANGES = "Your profile is on its way", "Your latest changes are on their way"
PATIENCE = 30_000
"""Milliseconds: a page asks again every two seconds, and has to come through."""


@pytest.fixture(scope="module")
def site(browser, mails, django_db_setup, django_db_blocker) -> Iterator[str]:
    """The address of an empty site, which its mails know, with a worker and the clock."""
    from django.db import connections

    from eventstore.subscriptions.registry import registry
    from eventstore.testing import reset

    with django_db_blocker.unblock(), ExitStack() as running:
        reset()
        registry.make_rows()
        port = free_port()
        running.enter_context(worker(beats=True, BASE_URL=f"http://127.0.0.1:{port}"))
        yield running.enter_context(server(port))
        connections.close_all()


@contextmanager
def paused():
    """The read model of profiles is fed no more, and again in the end."""
    perform(Pause(target=PROFILES), by="test")
    try:
        yield
    finally:
        perform(Resume(target=PROFILES), by="test")


def welcome_to(customer, mails):
    """The welcome mail to a customer, once it has come."""
    to = f"{customer.hex}@example.org"
    return eventually(lambda: next((mail for mail in mails.received if mail["To"] == to), None))


def link_in(mail):
    """The address that both parts of a mail lead to."""
    plain, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    (link,) = re.findall(r"^http\S+/profile/\S+", plain, re.MULTILINE)
    assert f'href="{link}"' in html
    return link


def test_a_profile_that_is_on_its_way_appears_by_itself(page, site):
    with paused():
        customer = shop.customer()
        page.goto(shop.profile_path(customer))
        expect(page.get_by_role("heading")).to_have_text(ON_ITS_WAY)
        with page.expect_navigation(timeout=PATIENCE):
            pass
        expect(page.get_by_role("heading")).to_have_text(ON_ITS_WAY)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace", timeout=PATIENCE)
    expect(page.get_by_text(f"{customer.hex}@example.org")).to_be_visible()
    assert page.locator("meta[http-equiv=refresh]").count() == 0


def test_a_change_that_is_on_its_way_appears_by_itself(page, site):
    customer = shop.customer()
    page.goto(shop.profile_path(customer))
    with paused():
        dispatch(ChangeCustomer(customer_id=customer, name="Ada King"))
        page.reload()
        expect(page.get_by_role("status")).to_have_text(CHANGES)
        expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada King", timeout=PATIENCE)
    expect(page.get_by_role("status")).to_have_count(0)


def test_the_welcome_mail_waits_for_the_profile_that_its_link_shows(page, site, mails):
    with paused():
        customer = shop.customer("Grace Hopper")
        registered = StoredEvent.objects.get(stream_id=customer).position
        eventually(Delivery.objects.filter(position=registered, status="waiting", waits_for=PROFILES).exists)
        assert not [mail for mail in mails.received if mail["To"] == f"{customer.hex}@example.org"]
    link = link_in(welcome_to(customer, mails))
    assert link.startswith(f"{site}/profile/")
    answer = page.goto(link)
    assert answer.status == 200
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace Hopper")


def test_the_api_tells_not_yet_from_not_there(site):
    http, nobody = Http(site), f"{V1}/customers/{new_id()}"
    with paused():
        mine = f"{V1}/customers/{http.register()}"
        too_early = http.call("GET", mine)
        assert (too_early.status, json.loads(too_early.content)["status"]) == (202, "pending")
        assert int(too_early.headers["Retry-After"]) > 0
        assert http.call("GET", nobody).status == 404
        somebody_else = f"{V1}/customers/{Http(site).register()}"
        assert http.call("GET", somebody_else).status == 404
    eventually(lambda: http.call("GET", mine).status == 200)
    assert http.get(mine)["name"] == "Ada"


def test_a_dry_run_knows_for_certain_and_writes_nothing(site):
    http, change = Http(site), {"name": "Ada King"}
    with paused():
        mine, head = f"{V1}/customers/{http.register()}", store.head()
        would = json.loads(http.call("PATCH", f"{mine}?dry_run=true", change).content)["would_record"]
        assert [each["type"] for each in would] == ["customer.renamed"]
        assert would[0]["data"]["name"] == "Ada King"
        assert http.call("PATCH", f"{V1}/customers/{new_id()}?dry_run=true", change).status == 404
        assert http.call("GET", mine).status == 202
    assert store.head() == head
    eventually(lambda: http.call("GET", mine).status == 200)
    assert http.get(mine)["name"] == "Ada"


def test_who_asks_for_what_was_written_is_shown_it_or_told_to_come_back(site):
    http = Http(site)
    mine = f"{V1}/customers/{http.register()}"
    with paused():
        written = http.call("PATCH", mine, {"name": "Ada King"}).headers["Event-Position"]
        behind = http.call("GET", mine, Min_Position=written)
        assert behind.status == 202
        told = json.loads(behind.content)
        assert told["read_model_position"] < told["position"] == int(written)
    eventually(lambda: http.call("GET", mine, Min_Position=written).status == 200)
    assert http.get(mine)["name"] == "Ada King"
    assert http.call("GET", mine, Min_Position=str(store.head() + 1_000)).status == 400
