"""How are missed events replayed? As staff see it, and do it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import transaction
from playwright.sync_api import expect

from eventstore import store
from eventstore.models import Incident, Notification, StoredEvent, SubscriberRow
from ordering.models import CustomerProfile, DailySales, OrderSummary
from projections.rebuild.generations import projection_named
from tests.integration import shop
from tests.integration.poison import poisoned
from tests.integration.processes import MailServer, clock, eventually, mail_server, server, worker

SYNC, ASYNC = "order-summaries", "sales-by-day"
FRONT_PAGE, PROJECTIONS = "/admin/", "/admin/projections/generation/"
SUBSCRIBER = "/admin/eventstore/subscriberrow/of/{}/"
STAFF = "staff@example.org"
HASTY = {
    "ADMINS": STAFF,
    "HEALTH_CHECK_SECONDS": "0.2",
    "HEARTBEAT_TIMEOUT_SECONDS": "3",
    "RAISE_AFTER_SECONDS": "1",
    "RESOLVE_AFTER_SECONDS": "2",
}


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    with mail_server() as (server, url), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMAIL_URL", url)
        for name, value in HASTY.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def site(browser, mails, django_db_setup, django_db_blocker) -> Iterator[str]:
    """The address of a site with its clock and its workers, but for the one that feeds async read models."""
    from django.db import connections

    from eventstore.testing import reset

    with django_db_blocker.unblock(), ExitStack() as running:
        reset()
        running.enter_context(clock())
        running.enter_context(worker(queues="rebuild,effects"))
        yield running.enter_context(server())
        connections.close_all()


@pytest.fixture
def staff(page, log_in):
    """Somebody who may do everything, at the front page."""
    log_in(superuser=True)
    return page


def paid_orders(count):
    ada, conference = shop.customer(), shop.conference_on_sale()
    orders = [shop.order(ada, conference) for _ in range(count)]
    for each in orders:
        shop.pay(each)
    return orders


def caught_up():
    return SubscriberRow.objects.get(pk=ASYNC).checkpoint == store.head()


def all_counted():
    """Whether the async read model has counted every payment, and none twice."""
    recorded = StoredEvent.objects.filter(type="payment.accepted").count()
    return sum(DailySales.objects.values_list("payments", flat=True)) == recorded


def at_peace(mails):
    """What was wrong before is over and told."""
    eventually(lambda: not Incident.objects.filter(ended_at=None).exists(), 60)
    eventually(lambda: not Notification.objects.filter(sent_at=None).exists())
    mails.received.clear()


def told(mails, beginning):
    def came():
        return [mail for mail in mails.received if mail["To"] == STAFF and beginning in str(mail["Subject"])]

    eventually(came, 60, beginning)


@contextmanager
def forgotten(stored, monkeypatch):
    """A bug: the orders' handler of these events does nothing, and everything else goes on as if all were well."""
    with monkeypatch.context() as bug:
        bug.setitem(projection_named(SYNC)._fold, stored, lambda row, event, meta: None)
        yield


def operate(page, link, button, reason=""):
    page.goto(PROJECTIONS)
    page.locator(link).click()
    if reason:
        page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=button).click()


def statuses(orders):
    return set(OrderSummary.objects.filter(pk__in=orders).values_list("status", flat=True))


def test_a_dead_worker_leaves_a_gap_that_staff_see_and_are_told_of_and_it_is_closed_when_one_is_back(staff, mails):
    with worker(queues="live") as first:
        paid_orders(1)
        eventually(lambda: caught_up() and all_counted())
        at_peace(mails)
        first.kill()
        shop.customer()
        staff.goto(SUBSCRIBER.format(ASYNC))
        expect(staff.locator("#gaps")).to_contain_text("None: it has applied everything that it wants")
        orders = paid_orders(3)
    staff.goto(FRONT_PAGE)
    expect(staff.locator(f"[data-subscriber='{ASYNC}']")).to_contain_text("6 events")
    expect(staff.locator(f"[data-subscriber='{SYNC}']")).to_contain_text("nothing")
    assert statuses(orders) == {"confirmed"}
    staff.goto(SUBSCRIBER.format(ASYNC))
    expect(staff.locator("#gaps")).to_contain_text("6 events missing")
    expect(staff.locator("#gaps")).to_contain_text("not fed yet")
    told(mails, "Worker: queue live has no worker")
    with worker(queues="live"):
        eventually(lambda: caught_up() and all_counted())
        staff.goto(FRONT_PAGE)
        expect(staff.locator(f"[data-subscriber='{ASYNC}']")).to_contain_text("nothing")
        told(mails, "Recovered: queue live")


def test_a_bug_that_skips_events_in_silence_is_found_row_by_row_and_its_differences_are_applied(
    staff, mails, monkeypatch
):
    sound = paid_orders(2)
    with forgotten("order.confirmed", monkeypatch):
        damaged = paid_orders(2)
    assert (statuses(sound), statuses(damaged)) == ({"confirmed"}, {"awaiting_payment"})
    staff.goto(SUBSCRIBER.format(SYNC))
    expect(staff.locator("#standing")).to_contain_text("running")
    expect(staff.locator("#gaps")).to_contain_text("None: it has applied everything that it wants")
    operate(staff, f"#verify-{SYNC}", "Yes, verify")
    verified = staff.locator(f"[data-verified={SYNC}]")
    expect(verified).to_contain_text("2 of")
    expect(verified).to_contain_text("rows are not what their events say")
    told(mails, f"Differs: {SYNC} has 2 rows")
    verified.get_by_role("link", name="see which").press("Enter")  # the page asks for itself again, and its rows move
    for order in damaged:
        row = staff.get_by_role("row").filter(has_text=str(order))
        expect(row).to_contain_text("status: awaiting_payment · confirmed")
    for order in sound:
        expect(staff.locator("#content")).not_to_contain_text(str(order))
    operate(staff, f"#repair-{SYNC}", "Yes, repair", reason="the handler of confirmations was broken")
    eventually(lambda: statuses(damaged) == {"confirmed"})
    told(mails, f"Recovered: {SYNC}")


def test_a_rebuild_mends_a_read_model_while_orders_go_on(staff, monkeypatch):
    with forgotten("order.confirmed", monkeypatch):
        damaged = paid_orders(2)
    with transaction.atomic("owner"):
        OrderSummary.objects.using("owner").first()
        operate(staff, f"#rebuild-{SYNC}", "Yes, rebuild")
        expect(staff.locator(f"[data-rebuild={SYNC}]")).to_contain_text("waits for its turn at the table")
        meanwhile = paid_orders(1)
        assert statuses(meanwhile) == {"confirmed"}
        assert statuses(damaged) == {"awaiting_payment"}
    expect(staff.locator(f"[data-rebuild={SYNC}]")).to_have_count(0)
    assert statuses([*damaged, *meanwhile]) == {"confirmed"}
    operate(staff, f"#verify-{SYNC}", "Yes, verify")
    expect(staff.locator(f"[data-verified={SYNC}]")).to_contain_text("each what its events say")


def test_an_event_that_fails_is_parked_told_and_retried_when_its_cause_is_mended(staff, mails):
    with poisoned() as poison:
        ada = shop.customer("poison")
        bob = shop.customer("Bob")
        assert not CustomerProfile.objects.filter(pk=ada).exists()
        assert CustomerProfile.objects.filter(pk=bob).exists()
        told(mails, "Parked: customer-profiles failed on 1 event")
        staff.goto(SUBSCRIBER.format("customer-profiles"))
        expect(staff.locator("#gaps")).to_contain_text("1 event missing")
        poison.mend()
        staff.locator(f"[data-key='{ada}']").get_by_role("link", name="Retry").click()
        staff.get_by_role("button", name="Yes, retry").click()
        expect(staff.get_by_text("customer-profiles: 1 of 1 keys are live again")).to_be_visible()
    assert CustomerProfile.objects.get(pk=ada).name == "poison"
    told(mails, "Recovered: customer-profiles")
