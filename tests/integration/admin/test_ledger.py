"""What operators see of the ledger of side effects, and what they may do about it; and who may do what."""

import pytest
from django.core import mail
from django.urls import reverse

from eventstore.models import StoredEvent
from eventstore.operations.base import operations, perform
from sagas.attempts import attempts_of
from sagas.effects.preconditions import FAR
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.operations import RetryDelivery
from sagas.status import process_issues
from sagas.testing import bring_to_rest
from tests.integration import shop, troubles
from tests.integration.admin.reading import (
    COMMANDS,
    LEDGER,
    PERMISSIONS,
    SEE,
    SETTLE,
    TIMERS,
    WHY,
    actions,
    labels,
    listed,
    offered,
    selected,
    story,
    text,
    url,
)
from tests.integration.troubles import WELCOME

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def mend():
    """The log refuses to record that seats were reserved, until it is mended."""
    with troubles.refused("seats.reserved") as mend:
        yield mend


@pytest.fixture
def order():
    """One that waits for its payment."""
    return shop.order(shop.customer(), shop.conference_on_sale())


def test_mails_that_failed_are_retried_all_of_one_error_from_the_list(client, staff):
    troubles.failed_mails(2)
    staff(*SEE, "sagas.resolve_delivery", "sagas.abandon_delivery")
    ((fault, (again, give_up)),) = client.get(LEDGER).context["faults"]
    assert (fault.subscribers, fault.status, fault.rows) == ([WELCOME], "failed", 2)
    assert (again.label, give_up.label) == ("Retry all with this error", "Abandon all with this error")
    assert f"{WELCOME}: 2 deliveries are tried again" in text(client.get(again.url))
    client.post(again.url, {"confirmed": "yes"})
    bring_to_rest()
    assert len(mail.outbox) == 2
    assert actions() == [("retry-delivery", WELCOME, "ada", "", False)]


@pytest.mark.parametrize(
    ("action", "reason", "status"),
    [("retry_selected", "", "done"), ("abandon_selected", "a test customer", "abandoned")],
)
def test_selected_mails_that_failed_are_settled(client, staff, action, reason, status):
    first, second = troubles.failed_mails(2)
    staff(*SEE, *PERMISSIONS)
    chosen = selected(action, [first])
    assert "1 selected" in text(client.post(LEDGER, chosen))
    client.post(LEDGER, chosen | {"confirmed": "yes", "reason": reason})
    bring_to_rest()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (status, "failed")
    assert [(each[3], each[4]) for each in actions()] == [(reason, False)]


@pytest.mark.parametrize(("action", "sent"), [("mark_selected_delivered", 0), ("redeliver_selected", 1)])
def test_selected_mails_in_doubt_are_settled_by_who_found_out(client, staff, action, sent):
    doubtful, other = troubles.in_doubt(2)
    staff(*SEE, *PERMISSIONS)
    client.post(LEDGER, selected(action, [doubtful], confirmed="yes", **WHY))
    bring_to_rest()
    doubtful.refresh_from_db()
    other.refresh_from_db()
    assert (doubtful.status, other.status, len(mail.outbox)) == ("done", "in doubt", sent)


def test_what_was_sent_is_sent_once_more_from_its_page(client, staff):
    shop.customer()
    bring_to_rest()
    done = Delivery.objects.get()
    page = f"{LEDGER}{done.pk}/change/"
    staff(*SEE, "sagas.copy_delivery")
    assert labels(client, page) == ["Send a copy"]
    answer = client.post(url("send-copy", WELCOME), {"delivery": done.pk, "next": page} | WHY, follow=True)
    assert answer.redirect_chain == [(page, 302)]
    bring_to_rest()
    assert len(mail.outbox) == 2
    assert actions() == [("resend", WELCOME, "ada", "a customer called", False)]


def test_a_delivery_that_waits_says_for_what_and_until_when(client, staff):
    customer = shop.customer()
    Delivery.objects.update(status="waiting", waits_for="customer-profiles", due_at=FAR)
    staff(*SEE)
    page = text(client.get(f"{LEDGER}{Delivery.objects.get().pk}/change/"))
    assert "customer-profiles" in page
    assert "once that has come so far" in page
    event = StoredEvent.objects.get(stream_id=customer)
    assert reverse("admin:eventstore_storedevent_change", args=[event.position]) in page


def test_searching_for_an_event_tells_what_every_effect_made_of_it(client, staff):
    shop.customer()
    staff(*SEE)
    found = {outcome.effect: outcome for outcome in client.get(LEDGER, {"q": "1"}).context["outcomes"]}
    assert [each.status for each in found[WELCOME].deliveries] == ["pending"]
    assert found["mail.order-confirmation"].why_none == "does not want it"
    assert client.get(LEDGER, {"q": "77"}).context["outcomes"] == []
    assert client.get(LEDGER, {"q": "x"}).context["outcomes"] == []


def test_deliveries_are_filtered_by_effect_status_and_error(client, staff):
    (failed,) = troubles.failed_mails(1)
    shop.customer()
    staff(*SEE)
    assert listed(client, LEDGER, effect=WELCOME, status__exact="failed") == [failed]
    assert listed(client, LEDGER, error=failed.error) == [failed]
    assert listed(client, LEDGER, effect="mail.order-status") == []


def test_the_page_of_an_effect_offers_what_can_be_done_about_its_ledger(client, staff):
    shop.customer()
    staff(superuser=True)
    assert offered(client, WELCOME) == {"pause"}
    troubles.failed_mails(2)
    assert offered(client, WELCOME) == {"pause", "retry-delivery", "abandon-delivery"}
    shown = text(client.get(url("abandon-delivery", WELCOME)))
    assert "3 deliveries are never tried again" in shown
    perform(RetryDelivery(target=WELCOME), by="bob")
    troubles.in_doubt()
    assert offered(client, WELCOME) == {"pause", "mark-delivered", "redeliver"}


def test_who_may_only_look_sees_no_button(client, staff, mend):
    (order,) = troubles.parked_orders()
    failed, *_ = troubles.failed_mails()
    staff(*SEE, "eventstore.view_subscriberrow")
    parked, timer = OutboxCommand.objects.get(status="parked"), Timer.objects.get()
    pages = [story(order), COMMANDS, TIMERS, LEDGER]
    pages += [f"{COMMANDS}{parked.pk}/change/", f"{TIMERS}{timer.pk}/change/", f"{LEDGER}{failed.pk}/change/"]
    pages += [reverse("admin:eventstore_subscriber", args=[name]) for name in ("sale", WELCOME)]
    for page in pages:
        shown = text(client.get(page))
        assert "/operate/" not in shown, page
        assert "_selected_action" not in shown, page


@pytest.mark.parametrize(
    "operation",
    [
        *("retry-command", "abandon-command", "move-timer", "cancel-timer", "retry-delivery", "abandon-delivery"),
        *("mark-delivered", "redeliver", "send-copy"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_each_operation_asks_for_its_own_permission(client, staff, order, operation, method):
    staff(*SEE, *(PERMISSIONS - {operations[operation].permission}))
    target = "sale" if operation.endswith(("command", "timer")) else WELCOME
    said_of_it = {"command": 1, "timer": 1, "delivery": 1, "due_at": "2031-01-01T00:00", **WHY}
    assert getattr(client, method)(url(operation, target), said_of_it).status_code == 403
    assert actions() == []


@pytest.mark.parametrize(
    ("address", "action", "permission"),
    [
        (COMMANDS, "retry_selected", SETTLE),
        (COMMANDS, "abandon_selected", "sagas.abandon_command"),
        (LEDGER, "abandon_selected", "sagas.abandon_delivery"),
        (LEDGER, "retry_selected", "sagas.resolve_delivery"),
        (LEDGER, "mark_selected_delivered", "sagas.resolve_delivery"),
        (LEDGER, "redeliver_selected", "sagas.copy_delivery"),
    ],
)
def test_each_action_on_what_is_selected_asks_for_its_own_permission(client, staff, mend, address, action, permission):
    troubles.parked_orders()
    troubles.failed_mails()
    rows = [OutboxCommand.objects.get(status="parked")] if address == COMMANDS else list(Delivery.objects.all())
    staff(*SEE, *(PERMISSIONS - {permission}))
    client.post(address, selected(action, rows, confirmed="yes", **WHY))
    assert actions() == []


def test_operations_on_effects_are_not_found_for_sagas_nor_the_other_way_round(client, staff, order):
    staff(superuser=True)
    assert client.get(url("retry-command", WELCOME)).status_code == 404
    assert client.get(url("send-copy", "sale")).status_code == 404
    assert client.get(url("rebuild", "sale")).status_code == 404
    assert client.get(url("confirm", "sale")).status_code == 404


def test_what_was_tried_in_vain_stays_told_after_staff_had_it_tried_again(client, staff):
    (failed,) = troubles.failed_mails(1)
    before = [(each.number, each.error) for each in attempts_of("delivery", failed.pk)]
    assert [number for number, _ in before] == list(range(1, 10))
    perform(RetryDelivery(target=WELCOME), by="bob")
    again = attempts_of("delivery", failed.pk)
    assert [(each.number, each.error) for each in again[:-1]] == before
    assert (again[-1].by, again[-1].number) == ("bob", 0)


def test_one_button_retries_all_with_one_error_whichever_effect_met_it(client, staff):
    troubles.failed_mails(2)
    shop.order(shop.customer(), shop.conference_on_sale())
    other = Delivery.objects.exclude(effect=WELCOME).earliest("id")
    error = Delivery.objects.filter(status="failed")[0].error
    Delivery.objects.filter(pk=other.pk).update(status="failed", error=error)
    staff(*SEE, "sagas.resolve_delivery")
    ((fault, (again,)),) = client.get(LEDGER).context["faults"]
    assert (fault.subscribers, fault.rows) == (sorted([WELCOME, other.effect]), 3)
    assert fault.first_seen < fault.last_seen
    shown = text(client.get(again.url))
    assert f"{WELCOME}: 2 deliveries are tried again." in shown
    assert f"{other.effect}: 1 delivery is tried again." in shown
    client.post(again.url, {"confirmed": "yes"})
    assert not Delivery.objects.filter(status="failed").exists()
    assert {each[:2] for each in actions()} == {("retry-delivery", WELCOME), ("retry-delivery", other.effect)}


def test_what_matches_a_filter_is_retried_at_once_and_how_many_these_are_is_said_before(client, staff):
    troubles.failed_mails(2)
    staff(*SEE, "sagas.resolve_delivery")
    assert client.get(LEDGER).context["matching"] == []
    (again,) = client.get(LEDGER, {"effect": WELCOME, "status__exact": "failed"}).context["matching"]
    assert again.label == "Retry all 2 that match"
    client.post(again.url, {"confirmed": "yes"})
    assert Delivery.objects.filter(effect=WELCOME, status="pending").count() >= 2
    assert client.get(LEDGER, {"effect": WELCOME, "q": "1"}).context["matching"] == []


def test_what_became_of_the_last_retry_is_told_and_a_failure_is_not_green(client, staff):
    first, second, third = troubles.failed_mails(3)
    perform(RetryDelivery(target=WELCOME), by="bob")
    first.refresh_from_db()
    Delivery.objects.filter(pk=first.pk).update(status="done")
    Delivery.objects.filter(pk=second.pk).update(status="failed")
    staff(*SEE)
    shown = text(client.get(LEDGER))
    assert "1 of 3 done, 1 failed again, 1 to go" in shown
    assert 'data-poll="/admin/sagas/delivery/retry/"' in shown
    assert "1 of 3 done" in text(client.get(f"{LEDGER}retry/"))
    Delivery.objects.filter(pk=third.pk).update(status="done")
    assert client.get(f"{LEDGER}retry/")["HX-Refresh"] == "true"
    assert '<p class="note-bad">2 of 3 done, 1 failed again' in text(client.get(LEDGER))


def test_all_is_asked_for_only_by_who_may_and_only_what_there_is(client, staff):
    troubles.failed_mails(1)
    staff(*SEE)
    assert client.get(f"{LEDGER}all/retry-delivery/").status_code == 403
    assert client.post(f"{LEDGER}all/retry-delivery/", {"confirmed": "yes"}).status_code == 403
    assert client.post(f"{LEDGER}all/send-copy/", {"confirmed": "yes"}).status_code == 404
    assert actions() == []


@pytest.fixture
def away(settings):
    """A mail that has failed once, and is tried again in a minute: the mail server is away."""
    settings.SAGAS_OVERDUE_AFTER_SECONDS = 0.001
    shop.customer()
    Delivery.objects.update(attempts=1, error=AWAY, due_at=FAR)
    return Delivery.objects.get()


AWAY = "TemporaryFailure: The mail server can't be reached."


def test_while_attempts_fail_it_is_said_and_all_that_wait_are_tried_at_once_when_the_server_is_back(
    client, staff, away
):
    issue = next(each for each in process_issues() if each.kind == "tried in vain")
    assert issue.text.startswith("1 wait that have failed so far, the oldest for")
    assert issue.text.endswith("(TemporaryFailure)")
    staff(*SEE, "sagas.resolve_delivery")
    page = client.get(LEDGER)
    assert "1 wait that have failed so far" in text(page)
    shop.order(shop.customer(), shop.conference_on_sale())  # others are due and have not failed
    again = page.context["try_now"]
    assert f"{WELCOME}: 1 delivery is tried at once." in text(client.get(again.url))
    client.post(again.url, {"confirmed": "yes"})
    bring_to_rest()
    away.refresh_from_db()
    assert away.status == "done"
    assert actions() == [("try-delivery", WELCOME, "ada", "", False)]
    assert client.get(LEDGER).context["failing"] is None


def test_who_may_only_look_is_told_that_attempts_fail_and_has_no_button(client, staff, away):
    staff(*SEE)
    page = client.get(LEDGER)
    assert page.context["failing"] is not None
    assert page.context["try_now"] is None
