"""Timers fire once, by the clock of the database, and neither saga nor worker ever waits for the other."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from django.utils import timezone

from eventstore.commands import dispatch
from eventstore.events import Meta
from eventstore.models import SubscriberRow
from ordering.domain.customer import ChangeCustomer, CustomerRenamed
from ordering.models import OrderSummary
from sagas import timers
from sagas.models import OutboxCommand, Timer
from sagas.saga import Saga, on
from sagas.steps import After, Cancel, Step
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.probes import registered

pytestmark = pytest.mark.usefixtures("clean")

LONG_AGO, FAR = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


class Nothing(msgspec.Struct):
    """What an instance that needs no memory remembers."""


class Reminder(Saga[Nothing], name="reminder"):
    """Renames whoever was renamed once more after an hour, unless it is told to stop."""

    state = Nothing

    @on(CustomerRenamed, key="customer_id", starts=True)
    def renamed(self, state: Nothing, event: CustomerRenamed, meta: Meta) -> Iterator[Step]:
        if event.name == "Stop":
            yield Cancel("again")
        else:
            again = ChangeCustomer(customer_id=event.customer_id, name=f"{event.name} again")
            yield After(timedelta(hours=1), again, "again")


@contextmanager
def writing_to_timers() -> Iterator[psycopg.Connection[Any]]:
    """Somebody else has all timers in hands, as who fires them or cancels them."""
    with closing(raw.connect()) as other:
        other.execute("SELECT FROM sagas_timer FOR UPDATE")
        yield other


def rename(customer: Any, name: str) -> None:
    dispatch(ChangeCustomer(customer_id=customer, name=name))
    bring_to_rest(deliver=False)


def statuses(**of: Any) -> list[str]:
    return list(Timer.objects.filter(**of).order_by("id").values_list("status", flat=True))


def test_cancelling_skips_a_timer_that_somebody_fires_and_the_late_command_does_no_harm():
    """Guards against a saga that waits for the timer's row, whose holder waits for the saga's: a deadlock."""
    order = shop.order(shop.customer(), shop.conference_on_sale())
    with writing_to_timers():
        shop.pay(order)
        bring_to_rest(deliver=False)
        assert OrderSummary.objects.get(pk=order).status == "confirmed"
        assert statuses() == ["waiting"]
        assert SubscriberRow.objects.get(pk="sale").last_error == ""
    Timer.objects.update(due_at=LONG_AGO)
    assert timers.fire() == 1
    bring_to_rest(deliver=False)
    assert OutboxCommand.objects.get(type="order.expire").status == "refused"
    assert OrderSummary.objects.get(pk=order).status == "confirmed"


def test_firing_skips_a_timer_that_somebody_cancels_and_fires_the_others():
    conference = shop.conference_on_sale()
    one = shop.order(shop.customer(), conference)
    Timer.objects.update(due_at=LONG_AGO)
    with writing_to_timers() as saga:
        other = shop.order(shop.customer(), conference)
        Timer.objects.filter(key=other).update(due_at=LONG_AGO)
        assert timers.fire() == 1
        saga.execute("UPDATE sagas_timer SET status = 'cancelled' WHERE key = %s", [str(one)])
        saga.commit()
    assert timers.fire() == 0
    assert (statuses(key=one), statuses(key=other)) == (["cancelled"], ["fired"])


def test_a_timer_that_is_set_again_is_another_one_and_waits_for_nobody():
    """Guards against moving the row of the one before: its writer would wait for whoever fires it."""
    with registered(Reminder()):
        ada = shop.customer()
        rename(ada, "Ada")
        with writing_to_timers():
            rename(ada, "Ada King")
        assert statuses(saga="reminder") == ["waiting", "waiting"]
        rename(ada, "Stop")
        assert statuses(saga="reminder") == ["cancelled", "cancelled"]


@pytest.mark.parametrize("wrong", [timedelta(days=-400), timedelta(days=400)])
def test_a_process_with_a_wrong_clock_fires_nothing_early_and_nothing_late(wrong, monkeypatch):
    """Guards against the clock of whoever looks: there are many, and one is always wrong."""
    conference = shop.conference_on_sale()
    due, waiting = (shop.order(shop.customer(), conference) for _ in range(2))
    Timer.objects.filter(key=due).update(due_at=timezone.now() - timedelta(hours=1))
    Timer.objects.filter(key=waiting).update(due_at=timezone.now() + timedelta(hours=1))
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + wrong)
    assert timers.fire() == 1
    assert (statuses(key=due), statuses(key=waiting)) == (["fired"], ["waiting"])


def test_timers_that_many_fire_at_once_each_send_one_command():
    conference, ada = shop.conference_on_sale(), shop.customer()
    orders = [shop.order(ada, conference) for _ in range(6)]
    Timer.objects.update(due_at=LONG_AGO)
    firing = [Beside(timers.fire_all) for _ in range(4)]
    assert [each.outcome() for each in firing] == [None] * 4
    sent = OutboxCommand.objects.filter(type="order.expire")
    assert sorted(sent.values_list("key", flat=True)) == sorted(map(str, orders))
    bring_to_rest(deliver=False)
    assert set(OrderSummary.objects.values_list("status", flat=True)) == {"expired"}
