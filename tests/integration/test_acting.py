"""Whoever applies events may not act, whatever its author wrote: it is refused, and the event is parked."""

from contextlib import suppress
from uuid import UUID

import msgspec
import pytest
from django.core import mail
from django.db import transaction

from eventstore import commands, repository, store, tasks
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.errors import ActsWhileApplying
from eventstore.models import CommandRecord, Incident, Notification, OperatorAction, ParkedEvent, SubscriberRow
from eventstore.monitoring import notifications
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from eventstore.store import Changes
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import failing_keys, retry_keys
from eventstore.testing.subscribers import given, rows
from ordering.domain.customer import ChangeCustomer, Customer, CustomerRegistered
from ordering.effects.customer import send_welcome
from ordering.models import CustomerProfile
from ordering.projections.customer import CustomerProfiles
from projections.errors import StreamHeld
from projections.projection import Projection
from projections.projection import on as projects
from projections.rebuild import builder, generations
from projections.testing import project
from sagas import outbox as sending
from sagas import tasks as saga_tasks
from sagas import timers
from sagas.effects import delivery
from sagas.models import Delivery, Instance, OutboxCommand, Timer, Transition
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.testing import tell
from tests.integration.eventstore.probes import registered

pytestmark = pytest.mark.usefixtures("world")

NAME = "customer-profiles"
ADA = UUID(int=1)
CHANGE = ChangeCustomer(customer_id=ADA, name="Somebody")


def append(using):
    nobody = CustomerRegistered(customer_id=new_id(), name="Nobody", email="nobody@example.org")
    changes = Changes(stream_id=nobody.customer_id, category="customer", expected=0, events=[nobody])
    store.append(changes, using=using)


def decide_and_append(event, meta):
    customer = repository.get(Customer, ADA)
    customer.decide(CHANGE, commands.CommandContext("default"))
    changes = Changes(stream_id=ADA, category="customer", expected=1, events=customer.recorded)
    store.append(changes, command_id=new_id())


def on_commit(using):
    transaction.on_commit(lambda: dispatch(CHANGE), using=using)


TRICKS = {
    "dispatches": lambda event, meta: dispatch(CHANGE),
    "carries-out": lambda event, meta: commands.carry_out(CHANGE, new_id(), using="default"),
    "appends": lambda event, meta: append("default"),
    "appends-as-the-owner": lambda event, meta: append("owner"),
    "decides-and-appends": decide_and_append,
    "acts": send_welcome.act,
    "delivers": lambda event, meta: delivery.deliver_one(send_welcome),
    "delivers-elsewhere": lambda event, meta: delivery.deliver_one(send_welcome, using="owner"),
    "sends": lambda event, meta: sending.send_next(using="owner"),
    "fires": lambda event, meta: timers.fire_all(using="owner"),
    "runs-a-task": lambda event, meta: saga_tasks.run(),
    "tells": lambda event, meta: notifications.send_due(),
    "operates": lambda event, meta: perform(Pause(target=NAME), by="nobody"),
    "waits-for-the-commit": lambda event, meta: on_commit("default"),
    "waits-for-the-owners-commit": lambda event, meta: on_commit("owner"),
}
LATE = {"waits-for-the-commit", "waits-for-the-owners-commit"}
"""What is refused only when the handler is through."""


class Mischief:
    """Whether handlers do what the name of a customer says, and what they have tried."""

    def __init__(self):
        self.begin()

    def begin(self):
        self.is_on, self.tried, self.done = True, [], []

    def try_(self, name, event, meta):
        if self.is_on and name in TRICKS:
            self.tried.append(name)
            TRICKS[name](event, meta)
            self.done.append(name)


mischief = Mischief()


def whose(event, meta):
    mischief.try_(event.name.removeprefix("its-key-"), event, meta)
    return (event.customer_id,)


class Meddler(Projection[CustomerProfile], name=NAME):
    """In place of the real one."""

    model = CustomerProfile

    @projects(CustomerRegistered, key=whose)
    def registered(self, row, event, meta):
        row.name, row.email = event.name, event.email
        row.registered_at, row.version = meta.recorded_at, meta.version
        mischief.try_(event.name.removeprefix("its-handler-"), event, meta)


class Nothing(msgspec.Struct):
    pass


class Meddling(Saga[Nothing], name="meddling"):
    state = Nothing

    @reacts(CustomerRegistered, key="customer_id", starts=True)
    def registered(self, state, event, meta):
        mischief.try_(event.name.removeprefix("its-handler-"), event, meta)
        yield from ()


@pytest.fixture
def world(clean):
    """Ada, and of everything that can be sent, fired or told something that is due, for whoever gets at it."""
    given(ADA, CustomerRegistered(customer_id=ADA, name="Ada", email="ada@example.org"), category="customer")
    mischief.begin()
    (real,) = (subscriber for subscriber in registry if isinstance(subscriber, CustomerProfiles))
    registry.unregister(real)
    try:
        with registered(Meddler()):
            feeding.catch_up([registry[NAME]])
            pending = {"key": "1", "type": CHANGE.stored, "data": {"customer_id": str(ADA), "name": "Late"}}
            tracing = {"command_id": new_id(), "correlation_id": new_id(), "causation_id": new_id(), "actor": "saga"}
            OutboxCommand.objects.create(saga="sale", **pending, **tracing, root=new_id(), hops=1)
            Timer.objects.create(saga="sale", **pending, **tracing, name="late", due_at="2000-01-01T00:00:00Z")
            Delivery.objects.create(effect=send_welcome.name, position=1)
            incident = Incident.objects.create(
                kind="parked", about="a", text="b", began_at="2000-01-01T00:00:00Z", seen_at="2000-01-01T00:00:00Z"
            )
            Notification.objects.create(
                incident=incident, notifier="eventstore.monitoring.notifications.mail_admins", ended=False
            )
            yield
    finally:
        registry.register(real)
        registry.forget_rows()


def happened():
    """All that there is of acting."""
    acted = (CommandRecord, OutboxCommand, Timer, Delivery, Notification, OperatorAction, Instance, Transition)
    return store.head(), len(mail.outbox), rows(*(model._default_manager.all() for model in acted))


def register(*, keys=True):
    """A customer for every trick, tried by a handler; and with `keys` one for each that the function of a key tries."""
    names = [f"its-handler-{trick}" for trick in TRICKS] + [f"its-key-{trick}" for trick in TRICKS if keys]
    for name in names:
        stream = new_id()
        given(stream, CustomerRegistered(customer_id=stream, name=name, email="x@example.org"), category="customer")
    return names


def refused(name=NAME):
    """Why events of a subscriber are parked."""
    return {parked.error.partition(":")[0] for parked in ParkedEvent.objects.filter(subscriber=name)}


@pytest.fixture
def tried(settings):
    """Makes sure in the end that everything was tried, and that nothing came of it."""
    settings.EVENTSTORE_HALT_AT = 100
    yield
    assert set(mischief.tried) == set(TRICKS)
    assert set(mischief.done) <= LATE


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_nothing_comes_of_it_while_live_rows_are_fed_or_healed(mode, tried, settings):
    settings.EVENTSTORE_MODES = {NAME: mode}
    registry.forget_rows()
    registry.make_rows()
    names = register()
    before = happened()
    feeding.catch_up([registry[NAME]]) if mode == "sync" else tasks.follow()
    assert refused() == {"ActsWhileApplying"}
    assert ParkedEvent.objects.count() == len(names)
    assert SubscriberRow.objects.get(pk=NAME).checkpoint == store.head()
    healed = retry_keys(NAME, failing_keys(NAME))
    assert (healed.events, healed.failing) == (0, len(names))
    assert happened() == before
    mischief.is_on = False
    assert retry_keys(NAME, failing_keys(NAME)).keys == len(names)
    assert CustomerProfile.objects.count() == 1 + len(names)
    assert happened() == before


@pytest.mark.parametrize("parts", [1, 2])
def test_nothing_comes_of_it_in_a_rebuild(parts, tried):
    mischief.is_on = False
    names = register()
    feeding.catch_up([registry[NAME]])
    before = happened()
    mischief.is_on = True
    rebuilt = builder.complete(generations.rebuild(NAME, parts=parts, requested_by="test"))
    assert (rebuilt.status, CustomerProfile.objects.count()) == ("live", 1)
    assert refused() == {"ActsWhileApplying"}
    assert ParkedEvent.objects.values("position").distinct().count() == len(names)
    assert happened() == before


def test_nothing_comes_of_it_while_rows_are_verified(tried):
    mischief.is_on = False
    names = register()
    feeding.catch_up([registry[NAME]])
    before = happened()
    mischief.is_on = True
    verified = builder.complete(generations.verify(NAME, requested_by="test"))
    assert (verified.status, verified.differing) == ("verified", len(names))
    assert refused(verified.parked_as) == {"ActsWhileApplying"}
    assert happened() == before


def test_nothing_comes_of_it_while_single_rows_are_rebuilt(tried):
    mischief.is_on = False
    register(keys=False)
    feeding.catch_up([registry[NAME]])
    before = happened()
    mischief.is_on = True
    first, *others = (str(profile.pk) for profile in CustomerProfile.objects.exclude(pk=ADA))
    for keys in ([first], others):
        assert builder.complete(generations.rebuild_keys(NAME, keys, requested_by="test")).status == "repaired"
    assert refused() == {"ActsWhileApplying"}
    assert ParkedEvent.objects.count() == len(TRICKS)
    assert happened() == before


def test_a_row_is_not_rebuilt_while_nobody_knows_whether_an_event_is_of_its_key():
    mischief.is_on = False
    register()
    feeding.catch_up([registry[NAME]])
    before = rows(CustomerProfile.objects.all())
    mischief.is_on = True
    rebuilt = builder.complete(generations.rebuild_keys(NAME, [str(ADA)], requested_by="test"))
    assert (rebuilt.status, rebuilt.error) == ("failed", StreamHeld.__doc__)
    assert rows(CustomerProfile.objects.all()) == before


def test_nothing_comes_of_it_in_a_saga(tried):
    with registered(Meddling()) as saga:
        names = register(keys=False)
        before = happened()
        feeding.catch_up([saga])
        assert refused(saga.name) == {"ActsWhileApplying"}
        assert retry_keys(saga.name, failing_keys(saga.name)).failing == len(names)
        assert happened() == before


def test_nor_does_anything_come_of_it_when_the_refusal_is_swallowed(tried):
    quietly = {name: _swallowing(trick) for name, trick in TRICKS.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, trick in quietly.items():
            patch.setitem(TRICKS, name, trick)
        register(keys=False)
        before = happened()
        feeding.catch_up([registry[NAME]])
        assert happened() == before
    # A handler that went on although it was refused has changed its row, and nothing else.
    assert CustomerProfile.objects.exclude(pk=ADA).count() == len(TRICKS)
    assert not ParkedEvent.objects.exists()
    mischief.done.clear()


def test_an_author_finds_out_in_a_unit_test():
    happens = CustomerRegistered(customer_id=ADA, name="its-handler-dispatches", email="x@example.org")
    for kind in (lambda: project(Meddler, happens), lambda: tell(Meddling, happens)):
        with pytest.raises(ActsWhileApplying, match="may not send commands"):
            kind()


def _swallowing(trick):
    def quietly(event, meta):
        with suppress(ActsWhileApplying):
            trick(event, meta)

    return quietly
