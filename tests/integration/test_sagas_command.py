"""`manage.py sagas` and `manage.py log`, as a person at a terminal and a script use them."""

import json
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from eventstore import identity, store
from eventstore.commands import dispatch
from eventstore.models import OperatorAction, StoredEvent, SubscriberRow
from eventstore.operations.base import operations
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.order import CancelOrder
from ordering.models import OrderSummary
from sagas import timers
from sagas.models import OutboxCommand, Timer
from sagas.testing import bring_to_rest
from tests.integration import shop, troubles
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

WHY = ("--reason", "a customer called", "--by", "ada")


def run(*arguments, command="sagas"):
    out = StringIO()
    call_command(command, *map(str, arguments), stdout=out)
    return out.getvalue()


def answer(*arguments, **options):
    return json.loads(run(*arguments, "--json", **options))


def refusal(*arguments, command="sagas"):
    out = StringIO()
    with pytest.raises(CommandError) as refused:
        call_command(command, *map(str, arguments), "--json", stdout=out)
    return json.loads(out.getvalue()) | {"exit": refused.value.returncode}


@contextmanager
def held_back():
    """The log while somebody has appended and doesn't end the transaction, though another has since."""
    with closing(raw.connect()) as writer, closing(raw.connect(autocommit=True)) as other:
        raw.append(writer)
        raw.append(other)
        yield writer.info.backend_pid


def actions():
    return list(OperatorAction.objects.order_by("id").values_list("operation", "target", "by", "reason", "refused"))


@pytest.fixture
def refused():
    with troubles.refused("seats.reserved") as mend:
        yield mend


@pytest.fixture
def sold():
    """An order that was paid for, and one that waits for its payment."""
    customer, conference = shop.customer(), shop.conference_on_sale()
    paid = shop.order(customer, conference)
    shop.pay(paid)
    return paid, shop.order(customer, conference)


def test_instances_are_listed_with_what_they_wait_for(sold):
    paid, waiting = sold
    assert [(each["key"], each["timers"]) for each in answer("list", "--saga", "sale")] == [
        (str(waiting), 1),
        (str(paid), 0),
    ]
    (open_,) = answer("list", "--unfinished")
    assert (open_["saga"], open_["key"], open_["commands"]) == ("sale", str(waiting), {"parked": 0, "pending": 0})
    assert answer("list", "--parked") == []
    assert [each["key"] for each in answer("list", "--key", paid)] == [str(paid)]
    assert len(answer("list", "--saga", "sale", "--limit", 1)) == 1
    shown = run("list")
    assert "1 timer" in shown
    assert f"order_id={paid}" in shown


def test_an_instance_that_is_held_up_is_listed_with_its_parked_command(refused):
    (order,) = troubles.parked_orders()
    (held_up,) = answer("list", "--parked")
    assert (held_up["key"], held_up["commands"]) == (str(order), {"parked": 1, "pending": 0})
    assert "1 parked" in run("list")


def test_the_story_of_an_instance_tells_each_event_the_state_and_what_became_of_each_step(sold):
    paid, waiting = sold
    story = answer("show", "sale", paid)
    assert [chapter["type"] for chapter in story["entries"]] == [
        "order.placed",
        "seats.reserved",
        "payment.accepted",
        "finance.payment-received",
        "order.payment-credited",
        "order.confirmed",
    ]
    placed, *_, credited, confirmed = story["entries"]
    ids = {"order_id", "conference_id", "customer_id"}
    assert placed["changed"].keys() == ids | {
        "total",
        "lines",
        "prices",
        "awaits_seats",
        "reserving",
        "reopened",
        "credited",
    }
    assert credited["changed"] == {"kept": "0", "credited": []}
    assert credited["state"]["kept"] == "99.50"
    reserve, window = placed["steps"]
    assert (reserve["step"], reserve["command"], reserve["sent"]["status"]) == ("send", "seats.reserve", "done")
    reserved = StoredEvent.objects.get(type="seats.reserved", data__order_id=str(paid))
    assert reserve["sent"]["result"] == reserved.position
    assert (window["timer"], window["scheduled"]["status"], window["sent"]) == ("payment-window", "cancelled", None)
    assert confirmed["steps"][0] | {"step": "cancel", "timer": "payment-window"} == confirmed["steps"][0]
    assert story["timers"] == []
    assert [timer["name"] for timer in answer("show", "sale", waiting)["timers"]] == ["payment-window"]
    shown = run("show", "sale", paid)
    assert "seats.reserve, done at" in shown
    assert "kept=99.50" in shown


def test_a_timer_that_fired_tells_what_became_of_its_command(sold):
    _, order = sold
    answer("move-timer", "sale", "--timer", Timer.objects.get(status="waiting").pk, "--due-at", "2020-01-01", *WHY)
    timers.fire()
    bring_to_rest(deliver=False)
    (_, window), *_ = (chapter["steps"] for chapter in answer("show", "sale", order)["entries"])
    assert (window["scheduled"]["status"], window["sent"]["status"]) == ("fired", "done")
    assert OrderSummary.objects.get(pk=order).status == "expired"
    assert "order.expire, done at" in run("show", "sale", order)


def test_a_long_story_is_told_from_its_end_and_says_that_there_is_more(sold):
    paid, _ = sold
    story = answer("show", "sale", paid, "--limit", 2)
    assert ([chapter["type"] for chapter in story["entries"]], story["earlier"]) == (
        ["order.payment-credited", "order.confirmed"],
        True,
    )
    assert story["entries"][0]["changed"] == {"kept": "0", "credited": []}
    first = story["entries"][0]["position"]
    assert f"--before {first}" in run("show", "sale", paid, "--limit", 2)
    before = answer("show", "sale", paid, "--before", first)
    assert ([chapter["type"] for chapter in before["entries"]], before["earlier"]) == (
        ["order.placed", "seats.reserved", "payment.accepted", "finance.payment-received"],
        False,
    )


def test_commands_and_timers_are_listed_the_next_that_is_due_first(refused):
    first, second = troubles.parked_orders(2)
    assert [(each["key"], each["status"]) for each in answer("commands")] == [
        (str(first), "parked"),
        (str(second), "parked"),
    ]
    assert answer("commands", "--status", "done") == []
    assert [each["key"] for each in answer("commands", "--key", second)] == [str(second)]
    assert troubles.ERROR in run("commands")
    due = answer("timers")
    assert [each["key"] for each in due] == [str(first), str(second)]
    assert due[0]["due_at"] < due[1]["due_at"]
    assert answer("timers", "--status", "fired") == []


def test_parked_commands_are_sent_again_once_the_cause_is_mended(refused):
    first, second = troubles.parked_orders(2)
    refused()
    one = OutboxCommand.objects.get(key=str(first), status="parked")
    told = answer("retry-command", "sale", "--command", one.pk, "--by", "ada")
    assert told == {"operation": "retry-command", "target": "sale", "outcome": "1 command is sent again"}
    bring_to_rest(deliver=False)
    assert OrderSummary.objects.get(pk=first).status == "awaiting_payment"
    assert OrderSummary.objects.get(pk=second).status == "placed"
    assert answer("retry-command", "sale")["outcome"] == "1 command is sent again"
    assert refusal("retry-command", "sale")["error"] == "nothing-to-resolve"
    assert [(each[0], each[4]) for each in actions()] == [
        ("retry-command", False),
        ("retry-command", False),
        ("retry-command", True),
    ]


def test_a_parked_command_is_abandoned_for_a_reason_and_its_instance_goes_on(refused):
    (order,) = troubles.parked_orders()
    dispatch(CancelOrder(order_id=order, reason="ill"))
    (parked,) = OutboxCommand.objects.filter(status="parked")
    abandon = ("abandon-command", "sale", "--command", parked.pk)
    assert refusal(*abandon)["error"] == "reason-missing"
    answer(*abandon, *WHY)
    bring_to_rest(deliver=False)
    told = answer("show", "sale", order)["entries"]
    assert [step["sent"]["status"] for chapter in told for step in chapter["steps"] if step["step"] == "send"] == [
        "abandoned",
        "done",
    ]
    assert actions()[-1] == ("abandon-command", "sale", "ada", "a customer called", False)


def test_a_timer_is_moved_and_cancelled(sold):
    timer = Timer.objects.get(status="waiting")
    answer("move-timer", "sale", "--timer", timer.pk, "--due-at", "2031-01-02T03:04", *WHY)
    timer.refresh_from_db()
    assert timer.due_at == datetime(2031, 1, 2, 3, 4, tzinfo=UTC)
    answer("cancel-timer", "sale", "--timer", timer.pk, *WHY)
    assert refusal("cancel-timer", "sale", "--timer", timer.pk, *WHY)["error"] == "nothing-to-resolve"
    assert answer("timers") == []


@pytest.mark.parametrize(
    ("arguments", "code", "detail"),
    [
        (("show", "sale", "nobody"), "unknown-instance", "sale has no instance 'nobody'."),
        (("show", "nobody", "k"), "unknown-subscriber", "No saga is declared as 'nobody'."),
        (("list", "--saga", "order-summaries"), "unknown-subscriber", "'order-summaries' is no saga"),
        (("pause", "mail.welcome"), "unknown-subscriber", "'mail.welcome' is no saga, it is one of the effects."),
        (("commands", "--status", "lost"), "refused", "--status: 'lost' is none of pending, done"),
        (("timers", "--limit", "many"), "refused", "--limit: 'many' is not a whole number."),
        (("list", "--limit", "0"), "refused", "--limit: at least 1."),
        (("retry-command", "sale", "--command", "x"), "refused", "--command: 'x' is not a whole number."),
        (("move-timer", "sale", "--timer", "1", "--due-at", "soon"), "refused", "'soon' is not a time, such as"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_changes_nothing(sold, arguments, code, detail):
    refused = refusal(*arguments)
    assert (refused["error"], refused["exit"]) == (code, 1)
    assert detail in refused["detail"]
    assert actions() == []


def test_the_operations_are_those_on_sagas():
    with pytest.raises(CommandError, match="invalid choice") as unknown:
        run("explode")
    for kind in operations:
        assert (f"'{kind.word}'" in str(unknown.value)) is (Rank.SAGA in kind.ranks)
    assert "'pause'" in str(unknown.value)
    assert "'rebuild'" not in str(unknown.value)
    assert "'send-copy'" not in str(unknown.value)


def test_a_saga_that_the_code_no_longer_has_is_retired(sold):
    gone = {"subscriber": "gone", "rank": Rank.SAGA, "mode": "sync", "version": 1, "types_hash": "", "checkpoint": 0}
    SubscriberRow.objects.create(name="gone", status="paused", **gone)
    assert refusal("retire", "never-there", *WHY)["error"] == "unknown-subscriber"
    assert refusal("retire", "gone", *WHY, command="effects")["error"] == "unknown-subscriber"
    assert refusal("retire", "sale", *WHY)["error"] == "refused"
    assert answer("retire", "gone", *WHY) == {"operation": "retire", "target": "gone", "outcome": "retired"}
    assert list(SubscriberRow.objects.filter(rank=Rank.SAGA).values_list("name", flat=True).order_by("name")) == [
        "booking",
        "conference-cancellation",
        "sale",
        "waitlist",
        "waitlist-offer",
    ]
    assert actions() == [
        ("retire", "sale", "ada", "a customer called", True),
        ("retire", "gone", "ada", "a customer called", False),
    ]


def test_a_saga_is_paused_and_shown_so(sold):
    run("pause", "sale")
    assert SubscriberRow.objects.get(name="sale").status == "paused"
    assert [(each["name"], each["state"]) for each in answer("status")] == [
        ("booking", "running"),
        ("conference-cancellation", "running"),
        ("sale", "paused"),
        ("waitlist", "running"),
        ("waitlist-offer", "running"),
    ]


def test_where_nothing_is_the_lists_say_so():
    assert "No instance" in run("list")
    assert "No command" in run("commands")
    assert "No timer" in run("timers")


def test_the_log_says_how_long_it_is_and_where(sold):
    told = answer("status", command="log")
    assert (told["head"], told["horizon"], told["fenced"]) == (store.head(), store.head(), False)
    assert told["identity"]["here"] == told["identity"]["confirmed"]
    assert told["identity"]["epoch"]
    assert told["identity"]["here"] in run("status", command="log")


def test_who_holds_the_log_back_is_said(sold):
    with held_back() as pid:
        assert f"(pid {pid})" in run("status", command="log")
    with held_back() as pid:
        assert answer("status", command="log")["holder"].endswith(f"(pid {pid})")


def test_a_copy_acts_once_somebody_says_so_for_a_reason(sold, fence):
    fence()
    assert answer("status", command="log")["fenced"]
    assert "nothing: see" in run("status", command="log")
    assert refusal("confirm", command="log")["error"] == "reason-missing"
    assert identity.is_fenced()
    before = identity.identity().epoch
    answer("confirm", *WHY, command="log")
    assert not identity.is_fenced()
    after = identity.identity()
    assert after.epoch != before
    assert after.confirmed_by == "ada"
    assert refusal("confirm", *WHY, command="log")["error"] == "nothing-to-confirm"
    assert [(each[:2], each[4]) for each in actions()] == [
        (("confirm", "log"), True),
        (("confirm", "log"), False),
        (("confirm", "log"), True),
    ]
