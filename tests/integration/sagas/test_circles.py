"""What leads to itself is stopped after fifty steps, and staff are told."""

from collections.abc import Iterator

import msgspec
import pytest

from eventstore import context
from eventstore.commands import dispatch
from eventstore.events import Meta
from eventstore.models import Incident
from eventstore.monitoring import incidents
from ordering.domain.customer import ChangeCustomer, CustomerRenamed
from ordering.effects.customer import send_welcome
from sagas.effects import delivery
from sagas.models import Delivery, OutboxCommand
from sagas.saga import Saga, on
from sagas.steps import Send, Step
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.eventstore.probes import registered

pytestmark = pytest.mark.usefixtures("clean")


class Nothing(msgspec.Struct):
    """What an instance that needs no memory remembers."""


class Circle(Saga[Nothing], name="circle"):
    """Renames whoever was renamed, unless to something that is final."""

    state = Nothing

    @on(CustomerRenamed, key="customer_id", starts=True)
    def renamed(self, state: Nothing, event: CustomerRenamed, meta: Meta) -> Iterator[Step]:
        if event.name != "Final":
            other = "Eve" if event.name == "Ada" else "Ada"
            yield Send(ChangeCustomer(customer_id=event.customer_id, name=other))


@pytest.fixture
def circle(clean: None) -> Iterator[None]:
    with registered(Circle()):
        yield


@pytest.mark.usefixtures("circle")
def test_a_chain_of_more_than_fifty_commands_is_parked_and_becomes_an_incident(settings):
    """Guards against commands that follow from commands without end, and against trying such a one again."""
    settings.EVENTSTORE_RAISE_AFTER_SECONDS = 0.0
    settings.EVENTSTORE_SETTLE_SECONDS = 2.0
    eve, ada = shop.customer(), shop.customer()
    dispatch(ChangeCustomer(customer_id=eve, name="Eve"))
    bring_to_rest(deliver=False)
    *sent, last = OutboxCommand.objects.filter(key=eve).order_by("id")
    assert [(row.hops, row.status) for row in sent] == [(hops, "done") for hops in range(1, 51)]
    assert (last.hops, last.status, last.attempts) == (51, "parked", 1)
    assert last.error.startswith("TooManyHops: ")
    incidents.check_health()
    assert Incident.objects.get(kind="commands").raised_at
    dispatch(ChangeCustomer(customer_id=ada, name="Final"))
    bring_to_rest(deliver=False)
    assert OutboxCommand.objects.filter(status="pending").count() == 0


def test_a_side_effect_at_the_end_of_such_a_chain_is_not_carried_out():
    with context.acting(hops=51):
        shop.customer()
    assert delivery.deliver_one(send_welcome)
    row = Delivery.objects.get()
    assert (row.status, row.attempts) == ("failed", 0)
    assert row.error.startswith("TooManyHops: ")
