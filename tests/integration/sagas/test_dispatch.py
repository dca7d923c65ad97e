"""Commands of one instance are sent one at a time and in order, by whoever sends them, and rest is only told when it is
there.
"""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from eventstore import database, store
from eventstore.context import new_id
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.subscriptions import feed_state
from eventstore.subscriptions.read_your_writes import ChainState, chain, settle
from eventstore.subscriptions.registry import registry
from ordering.domain.customer import ChangeCustomer
from sagas.models import OutboxCommand
from sagas.outbox import is_overdue, send_next
from sagas.testing import let_pass
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.probes import waiting_for
from tests.integration.processes import eventually
from tests.integration.sagas.outgoing import decided, held, lines, rename

pytestmark = pytest.mark.usefixtures("clean")

LOCK = "eventstore_load_v1"


def in_order(key):
    """Whether the commands of an instance appended in the order in which it sent them."""
    results = [row.result or 0 for row in OutboxCommand.objects.filter(key=key).order_by("id")]
    return results == sorted(results)


def state_of(root, position):
    return chain(root, position, database.pipeline, registry.outboxes()).state


def states(*rows: OutboxCommand) -> list[str]:
    return [OutboxCommand.objects.get(pk=row.pk).status for row in rows]


def send_all() -> None:
    while send_next():
        pass


def test_while_a_command_is_carried_out_nobody_begins_the_next_one_of_its_instance():
    """Guards against taking rows by SKIP LOCKED alone: that takes the second because the first is locked."""
    first, second, other = decided("a"), decided("a"), decided("b")
    with held(first):
        sender = Beside(send_next)
        eventually(lambda: waiting_for(LOCK))
        assert send_next()
        assert not send_next()
        assert states(first, second, other) == ["pending", "pending", "done"]
    assert sender.outcome() is None
    send_all()
    assert states(first, second) == ["done", "done"]
    assert in_order("a")


def test_a_row_that_somebody_is_writing_to_is_not_passed_over():
    """Guards against looking for the lowest row that is not locked: whoever puts a command off, or settles it, locks
    its row without the instance.
    """
    first, second = decided("a"), decided("a")
    with closing(raw.connect()) as writer:
        writer.execute("UPDATE sagas_outbox SET error = 'being put off' WHERE id = %s", [first.pk])
        assert not send_next()
        assert states(first, second) == ["pending", "pending"]
        writer.rollback()
    send_all()
    assert states(first, second) == ["done", "done"]


def test_many_that_send_at_once_never_meet_in_one_instance_and_keep_its_order():
    """Guards against any choice of the row that is not made under the lock of its instance."""
    keys = [f"instance {number}" for number in range(4)]
    rows = [decided(key) for _ in range(6) for key in keys]
    with lines() as heard:
        senders = [Beside(send_until(rows)) for _ in range(4)]
        assert [sender.outcome(60) for sender in senders] == [None] * 4
    for key in keys:
        steps = [line["event"] for line in heard if line.get("key") == key and line["event"] in BETWEEN]
        assert steps == BETWEEN * 6
        assert in_order(key)


BETWEEN = ["command_taken", "command_carried_out"]


def send_until(rows: list[OutboxCommand]) -> Callable[[], None]:
    def send() -> None:
        while OutboxCommand.objects.filter(pk__in=[row.pk for row in rows], status="pending").exists():
            send_next()

    return send


@pytest.mark.parametrize(
    ("unfinished", "goes_on"),
    [
        ({"due_at": "2999-01-01T00:00:00Z"}, False),
        ({"attempts": 3, "error": "lost", "due_at": "2999-01-01T00:00:00Z"}, False),
        ({"status": "parked"}, False),
        ({"status": "refused"}, True),
        ({"status": "unanswered"}, True),
        ({"status": "abandoned"}, True),
    ],
)
def test_what_is_not_finished_holds_back_what_comes_after_it_and_a_refusal_is_finished(unfinished, goes_on):
    decided("a", **unfinished)
    later, other = decided("a"), decided("b")
    send_all()
    assert states(later, other) == ["done" if goes_on else "pending", "done"]


def test_a_command_that_a_rule_refuses_is_finished_and_the_next_one_is_sent():
    refused = decided("a", ChangeCustomer(customer_id=new_id(), name="Nobody"))
    later = decided("a")
    send_all()
    assert states(refused, later) == ["unanswered", "done"]
    assert StoredEvent.objects.get(type="saga.command-refused").causation_id == refused.command_id


def test_a_command_that_fails_again_and_again_is_parked_and_holds_up_its_instance_alone():
    taken = shop.customer()
    broken = decided("a")
    OutboxCommand.objects.filter(pk=broken.pk).update(data={"customer_id": "nobody"})
    later, other = decided("a"), decided("b", ChangeCustomer(customer_id=taken, name="Ada King"))
    for _ in range(10):
        send_all()
        let_pass(timedelta(hours=1))
    assert states(broken, later, other) == ["parked", "pending", "done"]
    assert OutboxCommand.objects.get(pk=broken.pk).attempts == 8


def test_what_waits_behind_a_parked_command_is_not_overdue():
    first, behind = decided("a"), decided("a")
    OutboxCommand.objects.update(due_at="2000-01-01T00:00:00Z")
    assert is_overdue()
    OutboxCommand.objects.filter(pk=first.pk).update(status="parked")
    assert not is_overdue()
    OutboxCommand.objects.filter(pk=first.pk).update(status="done")
    assert is_overdue()
    assert states(behind) == ["pending"]


def test_rest_is_looked_for_in_one_moment():
    """Guards against asking first whether commands are left and then whether somebody is behind: a saga that hears of
    the event in between and decides on a command is in neither answer.
    """
    root, command = new_id(), rename()
    unseen = store.head() + 1
    answers = []
    with closing(raw.connect()) as feeder:
        feeder.execute("LOCK TABLE eventstore_subscriber IN ACCESS EXCLUSIVE MODE")
        looking = Beside(lambda: answers.append(state_of(root, unseen)))
        eventually(lambda: waiting_for("FROM eventstore_subscriber"))
        feeder.execute("UPDATE eventstore_subscriber SET checkpoint = %s", [unseen])
        decided("a", command, root=root)
        feeder.commit()
        assert looking.outcome() is None
    assert answers == [ChainState.UNFINISHED]


def test_a_request_waits_for_a_lock_no_longer_than_for_all_the_rest(settings):
    """A command of somebody who froze is left to the workers, who wait for ten seconds."""
    settings.EVENTSTORE_SETTLE_SECONDS = 0.3
    root = new_id()
    row = decided("a", root=root)
    with held(row):
        begun = time.monotonic()
        assert not settle(root, store.head()).at_rest
        assert time.monotonic() - begun < 10
    assert states(row) == ["pending"]
    let_pass(timedelta(seconds=1))
    send_all()
    assert states(row) == ["done"]


def test_rest_is_there_when_nothing_is_left_to_send_and_everybody_has_seen_what_came_of_it():
    root, row = new_id(), decided("a")
    head = store.head()
    assert state_of(root, head) is ChainState.AT_REST
    OutboxCommand.objects.update(root=root)
    assert state_of(root, head) is ChainState.UNFINISHED
    assert send_next()
    assert OutboxCommand.objects.get(pk=row.pk).result == store.head()
    assert state_of(root, head) is ChainState.BEHIND


def test_who_is_too_far_behind_to_be_waited_for_keeps_it_from_rest_all_the_same(monkeypatch):
    shop.customer()
    monkeypatch.setattr(feed_state, "NEAR", 3)
    SubscriberRow.objects.filter(pk="customer-profiles").update(checkpoint=0)
    position = store.head()
    assert state_of(new_id(), position + 3) is ChainState.BEHIND
    assert state_of(new_id(), position + 4) is ChainState.FAR_BEHIND
