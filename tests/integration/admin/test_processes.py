"""What operators see of sagas and timers, and what they may do about them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from eventstore.context import new_id
from eventstore.models import ParkedEvent
from eventstore.operations.base import perform
from ordering.models import OrderSummary
from sagas.models import Instance, OutboxCommand, Timer, Transition
from sagas.operations import AbandonCommand, RetryCommand
from sagas.testing import bring_to_rest
from tests.integration import shop, troubles
from tests.integration.admin.reading import (
    COMMANDS,
    GIVE_UP,
    INSTANCES,
    LEDGER,
    SEE,
    SETTLE,
    TIMERS,
    WHY,
    actions,
    labels,
    listed,
    offered,
    said,
    selected,
    story,
    text,
    url,
)

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


def test_the_story_of_an_instance_shows_each_event_the_state_and_what_became_of_the_steps(client, staff, order):
    shop.pay(order)
    staff("sagas.view_instance")
    page = client.get(story(order))
    types = [chapter.type for chapter in page.context["history"].entries]
    assert types == [
        "order.placed",
        "seats.reserved",
        "payment.accepted",
        "finance.payment-received",
        "order.payment-credited",
        "order.confirmed",
    ]
    shown = text(page)
    assert "<mark>confirmed: <del>false</del> true</mark>" in shown
    assert "<li>closed: false</li>" in shown
    assert "cancels payment-window" in shown
    for row in OutboxCommand.objects.filter(saga="sale"):
        assert reverse("admin:sagas_outboxcommand_change", args=[row.pk]) in shown
        assert reverse("admin:eventstore_storedevent_change", args=[row.result]) in shown
    assert reverse("admin:sagas_timer_change", args=[Timer.objects.get().pk]) in shown


def test_the_page_of_a_row_is_the_story(client, staff, order):
    staff("sagas.view_instance")
    row = Instance.objects.get()
    assert client.get(f"{INSTANCES}{row.pk}/change/").context["history"].key == str(order)
    assert client.get(f"{INSTANCES}0/change/").status_code == 404
    assert client.get(story("nobody")).status_code == 404


def test_who_may_not_see_instances_sees_no_story(client, staff, order):
    staff("sagas.view_outboxcommand")
    assert client.get(story(order)).status_code == 403
    assert client.get(INSTANCES).status_code == 403


def test_a_long_story_is_told_from_its_end_page_by_page(client, staff, order):
    staff("sagas.view_instance")
    Transition.objects.bulk_create(
        Transition(
            saga="sale",
            key=str(order),
            position=1000 + at,
            type="order.told",
            version=1,
            state={"paid": at % 2 == 0},
            ended=False,
            steps=[],
        )
        for at in range(150)
    )
    last = client.get(story(order))
    chapters = last.context["history"].entries
    assert (len(chapters), chapters[-1].position) == (100, 1149)
    assert all(chapter.changed.keys() == {"paid"} for chapter in chapters)
    first = client.get(story(order), {"before": chapters[0].position})
    assert [chapter.type for chapter in first.context["history"].entries[:2]] == ["order.placed", "seats.reserved"]
    assert "To its end" in text(first)
    assert client.get(story(order), {"before": "soon"}).url == story(order)


def test_an_instance_from_before_stories_were_kept_says_so(client, staff, order):
    staff("sagas.view_instance")
    Transition.objects.all().delete()
    assert "it began before histories were kept" in text(client.get(story(order)))


def test_what_is_parked_of_it_is_no_part_of_its_story_and_said(client, staff, order):
    staff("sagas.view_instance")
    ParkedEvent.objects.create(subscriber="sale", key=str(order), position=99, error="KeyError")
    assert "1 event of it is parked" in text(client.get(story(order)))


def test_instances_are_found_by_key_and_by_what_they_have_left_to_do(client, staff, order):
    paid = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(paid)
    with troubles.refused("seats.reserved"):
        (held_up,) = troubles.parked_orders()
    staff("sagas.view_instance")
    keys = {name: str(key) for name, key in (("held_up", held_up), ("waiting", order), ("paid", paid))}
    assert [row.key for row in listed(client, INSTANCES, q=keys["paid"])] == [keys["paid"]]
    unfinished = listed(client, INSTANCES, left="unfinished")
    assert {row.key for row in unfinished} == {keys["held_up"], keys["waiting"]}
    (row,) = listed(client, INSTANCES, left="parked")
    assert (row.key, row.parked, row.pending, row.timers) == (keys["held_up"], 1, 0, 1)
    assert len(listed(client, INSTANCES, saga="sale")) == 3
    assert listed(client, INSTANCES, q="nobody") == []


def test_before_anything_began_the_lists_explain_themselves(client, staff):
    staff(*SEE)
    assert "No saga has begun yet" in text(client.get(INSTANCES))
    assert "No saga has sent a command yet" in text(client.get(COMMANDS))
    assert "No timer of a saga waits" in text(client.get(TIMERS))
    assert "No event has called for a side effect yet" in text(client.get(LEDGER))


def test_a_parked_command_is_sent_again_from_the_story_of_its_instance(client, staff, mend):
    (order,) = troubles.parked_orders()
    staff(*SEE, SETTLE, *GIVE_UP)
    page = client.get(story(order))
    ((command, offers),) = page.context["commands"]
    assert [each.label for each in offers] == ["Retry", "Abandon"]
    shown = client.get(offers[0].url)
    assert "sale: 1 command is sent again" in text(shown)
    mend()
    answer = client.post(offers[0].url, {"command": command.id, "next": story(order)}, follow=True)
    assert answer.redirect_chain == [(story(order), 302)]
    assert said(answer) == ["sale: 1 command is sent again."]
    bring_to_rest(deliver=False)
    assert OrderSummary.objects.get(pk=order).status == "awaiting_payment"
    assert actions() == [("retry-command", "sale", "ada", "", False)]


def test_a_parked_command_is_abandoned_for_a_reason(client, staff, mend):
    (order,) = troubles.parked_orders()
    (parked,) = OutboxCommand.objects.filter(status="parked")
    staff(*SEE, SETTLE, *GIVE_UP)
    page = f"{COMMANDS}{parked.pk}/change/"
    assert labels(client, page) == ["Retry", "Abandon"]
    said_of_it = {"command": parked.pk, "next": page}
    assert f"seats.reserve of sale {order} is never sent" in text(
        client.get(url("abandon-command", "sale"), said_of_it)
    )
    assert "This field is required." in text(client.post(url("abandon-command", "sale"), said_of_it))
    client.post(url("abandon-command", "sale"), said_of_it | WHY)
    parked.refresh_from_db()
    assert parked.status == "abandoned"
    assert labels(client, page) == []
    assert actions() == [("abandon-command", "sale", "ada", "a customer called", False)]


def test_what_was_settled_meanwhile_is_refused_and_said_so(client, staff, mend):
    troubles.parked_orders()
    (parked,) = OutboxCommand.objects.filter(status="parked")
    staff(*SEE, SETTLE, *GIVE_UP)
    perform(AbandonCommand(target="sale", command=parked.pk), by="bob", reason="sooner")
    answer = client.post(url("retry-command", "sale"), {"command": parked.pk})
    assert "somebody has resolved it meanwhile" in text(answer)
    assert actions()[-1] == ("retry-command", "sale", "ada", "", True)
    answer = client.post(COMMANDS, selected("retry_selected", [parked]), follow=True)
    assert said(answer) == ["None of these is left as it was: somebody has resolved it meanwhile."]
    parked.refresh_from_db()
    assert parked.status == "abandoned"


def test_selected_commands_are_counted_confirmed_and_recorded_one_by_one(client, staff, mend):
    troubles.parked_orders(3)
    parked = list(OutboxCommand.objects.filter(status="parked"))
    staff(*SEE, SETTLE, *GIVE_UP)
    chosen = selected("retry_selected", parked)
    shown = client.post(COMMANDS, chosen)
    assert "Retry commands: 3 selected" in text(shown)
    assert "sale: 1 command is sent again, and what waits behind in the same instances. (3 times)" in text(shown)
    assert OutboxCommand.objects.filter(status="parked").count() == 3
    perform(RetryCommand(target="sale", command=parked[0].pk), by="bob")
    OutboxCommand.objects.filter(pk=parked[0].pk).update(status="done")
    answer = client.post(COMMANDS, chosen | {"confirmed": "yes"}, follow=True)
    assert said(answer) == [
        "1 of the selected are left: not parked.",
        "sale: 1 command is sent again. (2 times)",
    ]
    assert [each[:3] for each in actions()[1:]] == [("retry-command", "sale", "ada")] * 2


def test_selected_commands_are_abandoned_with_one_reason(client, staff, mend):
    troubles.parked_orders(2)
    parked = list(OutboxCommand.objects.filter(status="parked"))
    staff(*SEE, SETTLE, *GIVE_UP)
    chosen = selected("abandon_selected", parked, confirmed="yes")
    assert "This field is required." in text(client.post(COMMANDS, chosen))
    client.post(COMMANDS, chosen | WHY)
    assert {row.status for row in OutboxCommand.objects.filter(pk__in=[row.pk for row in parked])} == {"abandoned"}
    assert actions() == [("abandon-command", "sale", "ada", "a customer called", False)] * 2


def test_all_commands_of_one_error_are_sent_again_in_one_step(client, staff, mend):
    troubles.parked_orders(3)
    odd = OutboxCommand.objects.filter(status="parked").values_list("pk", flat=True)[0]
    OutboxCommand.objects.filter(pk=odd).update(error="KeyError: 'x'")
    staff(*SEE, SETTLE, *GIVE_UP)
    faults = client.get(COMMANDS).context["faults"]
    assert [(fault.rows, [each.label for each in offers]) for fault, offers in faults] == [
        (2, ["Retry all with this error"]),
        (1, ["Retry all with this error"]),
    ]
    ((_, (again,)), _) = faults
    assert "sale: 2 commands are sent again" in text(client.get(again.url))
    client.post(again.url, {"confirmed": "yes"})
    assert [row.error for row in OutboxCommand.objects.filter(status="parked")] == ["KeyError: 'x'"]


def test_refusals_that_nobody_answers_are_resolved_for_a_reason(client, staff, order):
    OutboxCommand.objects.filter(saga="sale").update(status="unanswered", error="too-late: It is over.")
    row = OutboxCommand.objects.filter(status="unanswered").latest("id")
    staff(*SEE, SETTLE, *GIVE_UP)
    assert labels(client, f"{COMMANDS}{row.pk}/change/") == ["Resolve"]
    (((fault, (resolve,)),)) = client.get(COMMANDS).context["faults"]
    assert (fault.status, fault.error, resolve.label) == ("unanswered", row.error, "Resolve all with this error")
    assert "This field is required." in text(client.post(resolve.url, {"confirmed": "yes"}))
    client.post(resolve.url, {"confirmed": "yes"} | WHY)
    assert not OutboxCommand.objects.filter(status="unanswered").exists()
    assert actions() == [("resolve-refusal", "sale", "ada", "a customer called", False)]


def test_commands_are_filtered_by_status_saga_and_error(client, staff, mend):
    troubles.parked_orders(2)
    first, second = OutboxCommand.objects.filter(status="parked").order_by("id")
    OutboxCommand.objects.filter(pk=second.pk).update(error="KeyError: 'x'")
    staff(*SEE)
    assert listed(client, COMMANDS, status__exact="parked", saga="sale") == [second, first]
    assert listed(client, COMMANDS, error="KeyError: 'x'") == [second]
    assert listed(client, COMMANDS, status__exact="done") == []
    assert listed(client, COMMANDS, q=first.key) == [first]


def test_a_timer_is_moved_to_another_time_for_a_reason(client, staff, order):
    timer = Timer.objects.get()
    staff(*SEE, "sagas.resolve_timer")
    page = client.get(story(order))
    ((_, offers),) = page.context["timers"]
    assert [each.label for each in offers] == ["Move", "Cancel"]
    asked = client.get(offers[0].url)
    assert asked.context["form"].initial["due_at"] == f"{timer.due_at:%Y-%m-%dT%H:%M:%S}"
    moved = {"timer": timer.pk, "due_at": "2031-01-02T03:04:05", "next": story(order)}
    assert "is sent at 2031-01-02 03:04:05 UTC and not at" in text(client.get(url("move-timer", "sale"), moved))
    answer = client.post(url("move-timer", "sale"), moved | WHY, follow=True)
    assert said(answer) == [f"sale: timer {timer.pk} is due at 2031-01-02 03:04:05 UTC."]
    timer.refresh_from_db()
    assert timer.due_at == datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert "moved from" in text(answer)
    assert "Enter a valid date/time." in text(client.get(url("move-timer", "sale"), moved | {"due_at": "soon"}))


def test_a_timer_is_cancelled_and_one_that_fired_meanwhile_is_refused(client, staff, order):
    timer = Timer.objects.get()
    staff(*SEE, "sagas.resolve_timer")
    page = f"{TIMERS}{timer.pk}/change/"
    assert labels(client, page) == ["Move", "Cancel"]
    client.post(url("cancel-timer", "sale"), {"timer": timer.pk} | WHY)
    timer.refresh_from_db()
    assert timer.status == "cancelled"
    assert labels(client, page) == []
    refused = client.post(url("cancel-timer", "sale"), {"timer": timer.pk} | WHY)
    assert "somebody has resolved it meanwhile" in text(refused)
    assert [(each[0], each[4]) for each in actions()] == [("cancel-timer", False), ("cancel-timer", True)]


def test_timers_that_wait_are_paged_by_the_time_when_they_are_due_though_many_are_at_once(client, staff, order):
    known = Timer.objects.get()
    soon = timezone.now().replace(microsecond=0)
    fields = {name: getattr(known, name) for name in ("saga", "key", "name", "type", "data", "actor")}
    ids = {"correlation_id": known.correlation_id, "causation_id": known.causation_id}
    Timer.objects.bulk_create(
        Timer(**fields, **ids, command_id=new_id(), due_at=soon + timedelta(minutes=at // 20)) for at in range(59)
    )
    staff(*SEE)
    first = client.get(TIMERS).context["cl"]
    second = client.get(TIMERS + first.older).context["cl"]
    third = client.get(TIMERS + second.older).context["cl"]
    rows = [*first.result_list, *second.result_list, *third.result_list]
    assert (len(rows), third.older, third.newest) == (60, "", "?")
    assert rows == sorted(Timer.objects.all(), key=lambda row: (row.due_at, row.pk))
    assert client.get(TIMERS, {"after": "soon"}).status_code == 302
    assert listed(client, TIMERS, status="fired") == []


def test_the_page_of_a_saga_offers_what_can_be_done_about_its_commands(client, staff, order, mend):
    staff(superuser=True)
    assert offered(client, "sale") == {"pause", "request-rehearsal"}
    troubles.parked_orders(2)
    assert offered(client, "sale") == {"pause", "request-rehearsal", "retry-command"}
    shown = client.get(url("retry-command", "sale"))
    assert "sale: 2 commands are sent again" in text(shown)
    assert "Yes, retry commands" in text(shown)


def test_an_instance_is_called_by_the_number_of_its_order_wherever_it_is_listed(client, staff, order):
    number = f"Order {OrderSummary.objects.get(pk=order).number}"
    staff(superuser=True)
    for page in (INSTANCES, COMMANDS, TIMERS):
        assert number in text(client.get(page)), page
    told = client.get(story(order))
    assert (told.context["title"], told.context["about"]) == (
        number,
        reverse("admin:ordering_ordersummary_change", args=[order]),
    )
    OrderSummary.objects.all().delete()
    assert client.get(story(order)).context["title"] == f"sale {order}"


def test_a_story_says_what_the_instance_waits_for_and_how_long_each_step_took(client, staff, order):
    staff("sagas.view_instance")
    placed, reserved = Transition.objects.filter(key=str(order)).order_by("id")
    Transition.objects.filter(pk=reserved.pk).update(at=placed.at + timedelta(minutes=7))
    OutboxCommand.objects.filter(key=str(order), type="seats.reserve").update(
        created_at=placed.at, finished_at=placed.at + timedelta(seconds=42)
    )
    shown = text(client.get(story(order)))
    timer = Timer.objects.get(key=str(order))
    assert f"Waits for <strong>payment.accepted</strong> or the timer <strong>{timer.name}</strong> at" in shown
    assert "7 min later" in shown
    assert "in 42 s" in shown


def test_a_parked_command_says_what_it_was_and_tells_each_attempt_also_after_it_went_through(client, staff, mend):
    (order,) = troubles.parked_orders()
    staff(*SEE, SETTLE)
    page = client.get(story(order))
    ((command, _),) = page.context["commands"]
    assert [each.number for each in command.tries] == list(range(1, 9))
    assert all(each.error.startswith("CheckViolation") for each in command.tries)
    assert command.data["order_id"] == str(order)
    assert "Stuck:" in text(page)
    mend()
    client.post(url("retry-command", "sale"), {"command": command.id})
    bring_to_rest()
    told = text(client.get(f"{COMMANDS}{command.id}/change/"))
    assert "attempt 8:" in told
    assert "tried again by ada" in told


def test_a_long_story_takes_few_statements(client, staff, mend, django_assert_max_num_queries):
    (order,) = troubles.parked_orders()
    staff(*SEE, SETTLE)
    with django_assert_max_num_queries(15):
        client.get(story(order))
