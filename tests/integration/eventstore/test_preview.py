"""A preview says what a command would record, and leaves no trace."""

from contextlib import closing, contextmanager
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import InternalError, connection, transaction

from eventstore import advisory_locks, database, repository
from eventstore.aggregates import Aggregate, Command, command, handles, on
from eventstore.commands import dispatch, routes
from eventstore.context import new_id
from eventstore.database import Statement
from eventstore.errors import ConcurrencyConflict, StreamExists, StreamNotFound, TooManyEvents, UnknownCommand
from eventstore.models import SubscriberRow
from eventstore.preview import preview
from eventstore.subscriptions.registry import registry
from ordering.domain.conference import ConferenceSeats
from ordering.domain.customer import (
    ChangeCustomer,
    CustomerBirthDateSet,
    CustomerEmailChanged,
    CustomerRenamed,
    RegisterCustomer,
)
from ordering.domain.errors import EmailTaken, OrderNotCancellable
from ordering.domain.order import CancelOrder, OrderPlaced, PlaceOrder
from ordering.domain.seats import AddSeats, Line, SeatsAdded, SeatType
from tests.integration import shop
from tests.integration.api.caller import nothing_written
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

MORE = SeatType("standard", "Standard", shop.PRICE, 1, 10)


@contextmanager
def held(*locks):
    """Another session holds these advisory locks, each a family and what it is about."""
    with closing(raw.connect()) as other:
        for family, about in locks:
            other.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [family, str(about)])
        yield


@contextmanager
def impatient():
    """Who waits for a lock fails soon."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'")
        yield
        cursor.execute("RESET lock_timeout")


def test_what_would_be_recorded_is_what_is_recorded_then():
    ada = shop.customer("Ada")
    wish = ChangeCustomer(customer_id=ada, name="Ada King", email="king@example.org", birth_date=None)
    with nothing_written():
        foreseen = preview(wish)
    assert foreseen.stream_id == ada
    assert foreseen.recorded == (
        CustomerRenamed(customer_id=ada, name="Ada King"),
        CustomerEmailChanged(customer_id=ada, email="king@example.org"),
    )
    assert dispatch(wish).recorded == foreseen.recorded
    assert preview(wish).recorded == ()


def test_what_begins_a_stream_is_foreseen_too():
    ada, conference = shop.customer(), shop.conference_on_sale()
    order = PlaceOrder(order_id=new_id(), customer_id=ada, conference_id=conference, lines=(Line("standard", 2),))
    with nothing_written():
        (placed,) = preview(order).recorded
    assert isinstance(placed, OrderPlaced)
    assert (placed.order_id, placed.total) == (order.order_id, shop.PRICE * 2)


@command("test.untold", stream="customer_id")
class Untold(Command):
    customer_id: UUID


def test_what_would_be_refused_is_refused():
    ada, bob = shop.customer(), shop.customer()
    order = shop.order(ada, shop.conference_on_sale())
    taken = f"{bob.hex}@example.org"
    dispatch(CancelOrder(order_id=order))
    refused = [
        (RegisterCustomer(customer_id=ada, name="Ada", email="new@example.org"), StreamExists),
        (RegisterCustomer(customer_id=order, name="Ada", email="new@example.org"), StreamExists),
        (RegisterCustomer(customer_id=new_id(), name="Ada", email=taken), EmailTaken),
        (ChangeCustomer(customer_id=ada, email=taken), EmailTaken),
        (ChangeCustomer(customer_id=new_id(), name="Ada"), StreamNotFound),
        (ChangeCustomer(customer_id=order, name="Ada"), StreamNotFound),
        (CancelOrder(order_id=order), OrderNotCancellable),
        (Untold(customer_id=ada), UnknownCommand),
    ]
    with nothing_written():
        for wish, refusal in refused:
            with pytest.raises(refusal):
                preview(wish)


def test_a_value_that_is_held_by_the_stream_itself_or_given_back_is_free():
    ada, bob = shop.customer(), shop.customer()
    address = f"{ada.hex}@example.org"
    assert preview(ChangeCustomer(customer_id=ada, email=address.upper())).recorded
    dispatch(ChangeCustomer(customer_id=ada, email="king@example.org"))
    assert preview(ChangeCustomer(customer_id=bob, email=address)).recorded


def test_a_version_that_the_caller_has_seen_must_still_be_the_last():
    ada = shop.customer()
    dispatch(ChangeCustomer(customer_id=ada, name="Ada King"))
    wish = ChangeCustomer(customer_id=ada, name="Ada Byron")
    assert preview(wish, if_version=2).recorded
    with pytest.raises(ConcurrencyConflict):
        preview(wish, if_version=1)


def test_what_was_carried_out_before_would_record_nothing():
    ada, wish = shop.customer(), new_id()
    dispatch(ChangeCustomer(customer_id=ada, name="Ada King"), command_id=wish)
    dispatch(ChangeCustomer(customer_id=ada, name="Ada Byron"))
    again = preview(ChangeCustomer(customer_id=ada, name="Ada King"), command_id=wish)
    assert (again.recorded, again.repeated) == ((), True)
    other = preview(ChangeCustomer(customer_id=ada, name="Ada King"), command_id=new_id())
    assert (len(other.recorded), other.repeated) == (1, False)


def test_what_was_decided_on_is_remembered_by_nobody():
    conference = shop.conference_on_sale(capacity=5)
    for remembered in (True, False):
        if not remembered:
            repository.aggregate_cache.forget()
        assert preview(AddSeats(conference_id=conference, seat_type=MORE)).recorded == (
            SeatsAdded(conference_id=conference, seat_type=MORE),
        )
        with repository.looked_at(ConferenceSeats, conference) as seats:
            assert (seats.version, seats.available("standard"), seats.recorded) == (2, 5, [])


def test_no_row_for_a_subscriber_is_made():
    ada = shop.customer()
    SubscriberRow.objects.all().delete()
    registry.forget_rows()
    assert preview(ChangeCustomer(customer_id=ada, name="Ada King")).recorded
    assert not SubscriberRow.objects.exists()


def test_it_waits_for_no_lock_that_a_decision_takes():
    ada, bob, wish = shop.customer(), shop.customer(), new_id()
    conference = shop.conference_on_sale()
    locks = [(advisory_locks.COMMAND, wish), *((advisory_locks.STREAM, each) for each in (ada, conference))]
    with held(*locks), impatient():
        assert preview(ChangeCustomer(customer_id=ada, name="Ada King"), command_id=wish).recorded
        assert preview(AddSeats(conference_id=conference, seat_type=MORE)).recorded
        with pytest.raises(EmailTaken):
            preview(ChangeCustomer(customer_id=ada, email=f"{bob.hex}@example.org"))


@command("test.look", stream="probe_id")
class Look(Command):
    probe_id: UUID
    conference_id: UUID


@command("test.write", stream="probe_id")
class Write(Command):
    probe_id: UUID


@command("test.record-many", stream="probe_id")
class RecordMany(Command):
    probe_id: UUID


LOCKS = """SELECT DISTINCT locktype, mode FROM pg_locks
    WHERE pid = pg_backend_pid() AND mode <> 'AccessShareLock' AND locktype <> 'virtualxid'"""


class Probe(Aggregate, category="probe", hot=True):
    """Looks at what is locked while it decides, and does what no aggregate may."""

    locks: ClassVar[list[Any]] = []

    @handles(Look, creates=True)
    def look(self, command, facts):
        facts.look_up(ConferenceSeats, command.conference_id, guarded=True)
        self.claim("email", "probe@example.org", EmailTaken())
        (type(self).locks,) = database.pipeline(Statement(LOCKS))

    @handles(Write, creates=True)
    def write(self, command, facts):
        SubscriberRow.objects.update(checkpoint=0)

    @handles(RecordMany, creates=True)
    def record_many(self, command, facts):
        for _ in range(201):
            self.record(CustomerBirthDateSet(customer_id=self.id, birth_date=None))

    @on(CustomerBirthDateSet)
    def _set(self, event):
        """Nothing comes of it."""


@pytest.fixture
def probe():
    routes.register(Probe)
    yield Probe
    routes.unregister(Probe)


def test_it_holds_no_lock_that_somebody_could_wait_for(probe):
    look = Look(probe_id=new_id(), conference_id=shop.conference_on_sale())
    preview(look)
    assert probe.locks == []
    dispatch(look)
    assert {kind for kind, _ in probe.locks} == {"advisory"}


def test_the_database_refuses_a_handler_that_writes_and_takes_writing_up_again(probe):
    with nothing_written(), pytest.raises(InternalError, match="read-only transaction"):
        preview(Write(probe_id=new_id()))
    assert dispatch(ChangeCustomer(customer_id=shop.customer(), name="Ada King")).position


def test_more_than_one_append_takes_is_refused(probe):
    with nothing_written(), pytest.raises(TooManyEvents):
        preview(RecordMany(probe_id=new_id()))


def test_inside_somebody_elses_transaction_it_is_refused_as_the_command_would_be():
    ada = shop.customer()
    with pytest.raises(RuntimeError), transaction.atomic():
        preview(ChangeCustomer(customer_id=ada, name="Ada King"))
