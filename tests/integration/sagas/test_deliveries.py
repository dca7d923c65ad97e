"""What a side effect waits for, what is written down before it acts, and what wakes it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from eventstore import store
from eventstore.events import Meta
from eventstore.models import ClockTimestamp
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Discard, Retry
from eventstore.subscriptions import feeding
from eventstore.subscriptions.subscriber import Mode
from ordering.domain.customer import CustomerRegistered, CustomerRenamed
from ordering.effects.customer import send_welcome
from projections.rebuild import builder, generations
from sagas.effects import delivery, preconditions
from sagas.effects.effect import AT_MOST_ONCE, Effect, effect
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import WHO, Probe, go_wrong, mend, note, query, registered

pytestmark = pytest.mark.usefixtures("probe_tables")

seen: list[Any] = []


@effect("probe.watched", on=CustomerRegistered, delivery=AT_MOST_ONCE)
def watch_the_ledger(event: CustomerRegistered, meta: Meta) -> None:
    with closing(raw.connect(autocommit=True)) as other:
        told = other.execute(
            """SELECT status, lease_until > clock_timestamp(), attempts FROM sagas_delivery
            WHERE effect = 'probe.watched' AND position = %s""",
            [meta.position],
        )
        seen.append((told.fetchone(), connection.in_atomic_block))


@effect("probe.after", on=CustomerRenamed, after=["probe"])
def act_after(event: CustomerRenamed, meta: Meta) -> None:
    """What it waits for is all that matters."""


def test_that_it_is_running_can_be_seen_by_everybody_before_it_acts():
    """Guards against acting before `running` is committed: who died then would act a second time."""
    seen.clear()
    with registered(watch_the_ledger):
        shop.customer()
        assert delivery.deliver_one(watch_the_ledger)
    assert seen == [(("running", True, 1), False)]


@pytest.fixture
def after(probe_tables: None) -> Iterator[Probe]:
    """A read model whose keys are words of a name, and an effect that waits for it."""
    with registered(Probe(mode=Mode.ASYNC), act_after) as (probe, _):
        yield probe


def feed(*subscribers: Any) -> None:
    for subscriber in subscribers:
        feeding.catch_up([subscriber])


def carry_out() -> dict[int, tuple[str, str]]:
    """Whatever is due now; how every row stands then, by position."""
    feed(act_after)
    while delivery.deliver_one(act_after):
        pass
    rows = Delivery.objects.filter(effect=act_after.name)
    return {row.position: (row.status, row.waits_for) for row in rows}


DONE, BEHIND, PARKED = ("done", ""), ("waiting", "probe"), ("waiting", "probe (parked)")


def let_it_sleep() -> None:
    """Nothing would happen for an hour, if nobody called."""
    Delivery.objects.filter(status="waiting").update(due_at=ClockTimestamp() + timedelta(hours=1))
    query("DELETE FROM eventstore_doorbell")


def is_called(which: Effect = act_after) -> bool:
    """Whether the effect has something to do now, and its bell rings."""
    bells = query("SELECT name FROM eventstore_doorbell WHERE name = %s AND rung_at IS NOT NULL", which.bell)
    return bool(bells) and preconditions.is_due(which)


def test_it_acts_when_the_read_model_has_passed_the_event(after):
    note("a")
    assert carry_out() == {1: BEHIND}
    assert not preconditions.is_due(act_after)
    feed(after)
    note("b")
    assert carry_out() == {1: DONE, 2: BEHIND}


def test_it_waits_for_the_keys_that_the_read_model_finds_in_the_event(after):
    """Guards against asking for the stream of the event, or for anything else that is no key of this read model."""
    stream = store.read_one(note("b")).stream_id
    go_wrong("b")
    note("a", "a b", "c", stream=stream)
    feed(after)
    assert carry_out() == {1: PARKED, 2: DONE, 3: PARKED, 4: DONE}


def test_what_is_parked_after_the_event_does_not_concern_it(after):
    go_wrong("a@2")
    note("a", "a", "a")
    feed(after)
    assert carry_out() == {1: DONE, 2: PARKED, 3: PARKED}


def test_healing_a_key_calls_who_waits_for_it_at_once(after):
    go_wrong("a")
    note("a", "a")
    feed(after)
    assert carry_out() == {1: PARKED, 2: PARKED}
    let_it_sleep()
    mend("a")
    perform(Retry(target="probe"), by=WHO)
    assert is_called()
    assert carry_out() == {1: DONE, 2: DONE}


def test_what_was_discarded_counts_as_passed_and_calls_who_waits_for_it(after):
    """Guards against waiting for good for what will never be applied."""
    go_wrong("a")
    note("a")
    feed(after)
    assert carry_out() == {1: PARKED}
    let_it_sleep()
    perform(Discard(target="probe", key="a", positions=(1,)), by=WHO, reason="it was a test")
    assert is_called()
    assert carry_out() == {1: DONE}


def test_an_event_that_the_read_model_does_not_want_is_not_waited_for():
    other = effect("probe.other", on=CustomerRegistered, after=["probe"])(lambda event, meta: None)
    with registered(Probe(mode=Mode.ASYNC), other):
        shop.customer()
        assert delivery.deliver_one(other)
        assert Delivery.objects.get(effect=other.name).status == "done"


def test_a_swap_calls_who_waits_for_a_key_that_was_parked(poison, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    shop.customer("poison")
    assert delivery.deliver_one(send_welcome)
    row = Delivery.objects.get()
    assert (row.status, row.waits_for) == ("waiting", "customer-profiles (parked)")
    let_it_sleep()
    poison.mend()
    builder.complete(generations.rebuild("customer-profiles", requested_by=WHO))
    assert is_called(send_welcome)
    assert delivery.deliver_one(send_welcome)
    assert Delivery.objects.get().status == "done"
