"""What staff do about sagas, timers, mails and a copied log, from the front page to the records."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from eventstore import store
from eventstore.models import LogIdentity, OperatorAction
from ordering.models import OrderSummary
from sagas.models import Delivery, Timer
from tests.integration import shop, troubles
from tests.integration.processes import eventually
from tests.integration.troubles import WELCOME

pytestmark = pytest.mark.usefixtures("site")

ERROR = "The mail server refused the recipient with 550."
TIMERS, LEDGER, IDENTITY = "/admin/sagas/timer/", "/admin/sagas/delivery/", "/admin/eventstore/logidentity/"


def status_of(order):
    return OrderSummary.objects.get(pk=order).status


def test_a_stuck_saga_is_understood_from_its_story_and_goes_on(page, log_in):
    with troubles.refused("seats.reserved") as mend:
        (order,) = troubles.parked_orders()
        user = log_in(superuser=True)
        verdict = page.locator("#verdict")
        expect(verdict).to_contain_text("is stuck: ")
        verdict.get_by_role("link", name="1 sale").click()
        number = OrderSummary.objects.get(pk=order).number
        page.get_by_role("link", name=f"Order {number}").first.click()
        expect(page.locator("#waits")).to_contain_text("Stuck: the command seats.reserve failed 8 times.")
        tried = page.locator("#commands ol.tries li")
        expect(tried).to_have_count(8)
        expect(tried.last).to_contain_text("attempt 8: CheckViolation")
        expect(page.locator("#commands")).to_contain_text("conference_id")
        story = page.locator("#story")
        expect(story).to_contain_text("order.placed")
        expect(story.locator("[data-step=send]")).to_contain_text("CheckViolation (23514)")
        mend()
    page.locator("#commands").get_by_role("link", name="Retry").click()
    expect(page.get_by_text("sale: 1 command is sent again")).to_be_visible()
    page.get_by_role("button", name="Yes, retry commands").click()
    expect(page.get_by_text("sale: 1 command is sent again.")).to_be_visible()
    eventually(lambda: status_of(order) == "awaiting_payment")
    page.reload()
    expect(page.locator("#commands")).to_have_count(0)
    expect(page.locator("#waits")).to_contain_text("Waits for payment.accepted or the timer")
    story.get_by_text("Attempts").click()
    expect(story.locator("ol.tries li").last).to_contain_text(f"tried again by {user.username}")
    expect(story.locator("li[data-position]")).to_have_count(2)
    expect(story.locator("[data-step=send] .tag")).to_have_text(["done", "done"])
    record = OperatorAction.objects.get(operation="retry-command", by=user.username)
    assert (record.target, record.refused) == ("sale", False)


def test_staff_move_a_timer_and_the_order_expires(page, log_in):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    timer = Timer.objects.get(key=str(order))
    log_in("sagas.view_timer", "sagas.view_instance", "sagas.resolve_timer")
    page.goto(f"{TIMERS}?q={order}")
    page.get_by_role("link", name="Move", exact=True).click()
    shown = f"{timer.due_at:%Y-%m-%dT%H:%M:%S}".removesuffix(":00")  # browsers leave out seconds that are zero
    expect(page.get_by_label("Due at")).to_have_value(shown)
    page.get_by_label("Due at").fill("2020-02-29T12:00:00")
    page.get_by_role("button", name="Show what it will touch").click()
    expect(page.get_by_text("is sent at 2020-02-29 12:00:00 UTC and not at")).to_be_visible()
    page.get_by_role("button", name="Yes, move timer").click()
    expect(page.get_by_role("alert")).to_contain_text("This field is required.")
    page.get_by_label("Reason").fill("the customer called")
    page.get_by_role("button", name="Yes, move timer").click()
    expect(page.get_by_text("is due at 2020-02-29 12:00:00 UTC")).to_be_visible()
    eventually(lambda: status_of(order) == "expired")
    timer.refresh_from_db()
    assert (timer.status, timer.due_at) == ("fired", datetime(2020, 2, 29, 12, tzinfo=UTC))


def test_staff_have_all_mails_of_one_error_sent_and_look_at_what_became_of_them(page, mails, log_in):
    eventually(lambda: not Delivery.objects.exclude(status="done").exists(), 60, "no other mail is under way")
    mails.replies["RCPT"] = "550 No such user"
    rows = Delivery.objects.filter(effect=WELCOME, position__gt=store.head())
    customers = [shop.customer() for _ in range(2)]
    eventually(lambda: rows.filter(status="failed").count() == 2)
    mails.replies.clear()
    log_in(superuser=True)
    page.locator("#verdict").get_by_role("link", name="2 welcome mails").click()
    fault = page.locator("[data-fault]")
    expect(fault).to_contain_text(ERROR)
    fault.get_by_role("link", name="Retry all with this error").click()
    expect(page.get_by_text(f"{WELCOME}: 2 deliveries are tried again.")).to_be_visible()
    page.get_by_role("button", name="Yes, retry deliveries").click()
    expect(page.get_by_text(f"{WELCOME}: 2 deliveries are tried again.")).to_be_visible()
    eventually(lambda: rows.filter(status="done", attempts=1).count() == 2)
    assert {f"{customer.hex}@example.org" for customer in customers} <= {mail["To"] for mail in mails.received}
    page.goto(f"{LEDGER}?q={rows[0].position}")
    expect(page.locator("#outcomes")).to_contain_text("done")
    expect(page.locator("#outcomes")).to_contain_text("does not want it")
    expect(page.locator("[data-fault]")).to_have_count(0)


def test_staff_let_a_copied_log_act(page, log_in):
    kept = LogIdentity.objects.values().get()
    try:
        user = log_in("eventstore.view_logidentity", "eventstore.confirm_identity")
        LogIdentity.objects.update(database="elsewhere")
        page.goto(IDENTITY)
        expect(page.get_by_role("alert")).to_contain_text("This database is not the one")
        page.get_by_role("link", name="Let this log act").click()
        expect(page.get_by_text("From now on mails, commands of sagas and timers are sent")).to_be_visible()
        page.get_by_label("Reason").fill("the other one is gone")
        page.get_by_role("button", name="Yes, let this log act").click()
        expect(page.locator("#identity .tag")).to_have_text("acts")
        expect(page.locator("#actions")).to_contain_text("the other one is gone")
        assert LogIdentity.objects.get().confirmed_by == user.username
        assert LogIdentity.objects.get().database == kept["database"]
    finally:
        LogIdentity.objects.update(**kept)
