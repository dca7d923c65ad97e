"""One call appends to one or several streams, all or nothing."""

import re
from contextlib import closing
from datetime import date
from functools import partial
from hashlib import sha256

import pytest
from django.db import connection, transaction

from eventstore import advisory_locks, context, store
from eventstore.aggregates import Claim
from eventstore.errors import ClaimTaken, ConcurrencyConflict, InvalidEvent, TooManyEvents, UnsafeTransaction
from eventstore.models import CommandRecord, StoredEvent
from eventstore.store import Changes
from ordering.domain.customer import CustomerBirthDateSet, CustomerRegistered, CustomerRenamed
from ordering.domain.errors import EmailTaken
from ordering.domain.order import OrderConfirmed, OrderExpired
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.probes import waiting_for
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")


def confirmed(stream, expected=0, **kwargs):
    return Changes(
        stream_id=stream, category="order", expected=expected, events=[OrderConfirmed(order_id=stream)], **kwargs
    )


def test_events_take_the_next_positions_and_versions():
    stream = context.new_id()
    both = [OrderConfirmed(order_id=stream), OrderExpired(order_id=stream)]
    first = store.append(Changes(stream_id=stream, category="order", expected=0, events=both))
    then = store.append(confirmed(stream, expected=2))
    ids = [recorded.event_id for recorded in store.read_stream(stream)]
    assert (first, then) == (store.Appended(1, 2, ids[1]), store.Appended(3, 3, ids[2]))
    assert [recorded.version for recorded in store.read_stream(stream)] == [1, 2, 3]
    assert [recorded.event for recorded in store.read_stream(stream)][:2] == both


@pytest.mark.parametrize("expected", [0, 2, 7])
def test_a_stream_that_stands_elsewhere_than_expected_is_a_conflict(expected):
    stream = context.new_id()
    store.append(confirmed(stream))
    with pytest.raises(ConcurrencyConflict):
        store.append(confirmed(stream, expected=expected))
    assert StoredEvent.objects.count() == 1


def test_several_streams_are_appended_all_or_nothing():
    one, other = context.new_id(), context.new_id()
    with pytest.raises(ConcurrencyConflict):
        store.append(confirmed(one), confirmed(other, expected=1))
    assert not StoredEvent.objects.exists()
    assert store.append(confirmed(one), confirmed(other)).last is not None


def test_a_value_that_can_not_be_read_back_is_never_stored():
    stream = context.new_id()
    wrong = CustomerBirthDateSet(customer_id=stream, birth_date="yesterday")  # type: ignore[arg-type]
    with pytest.raises(InvalidEvent):
        store.append(Changes(stream_id=stream, category="customer", expected=0, events=[wrong]))
    assert store.head() == 0


@pytest.mark.parametrize("name", ["a\0b", "\0", "\\\0", "\\\\\0", "\ud800"])
def test_a_text_that_postgresql_cannot_store_is_refused_without_telling_it(name):
    stream = context.new_id()
    wrong = CustomerRenamed(customer_id=stream, name=f"secret {name}")
    with pytest.raises(InvalidEvent) as refused:
        store.append(Changes(stream_id=stream, category="customer", expected=0, events=[wrong]))
    assert "secret" not in str(refused.value)
    assert store.head() == 0


def test_a_text_that_only_looks_like_one_is_stored():
    stream = context.new_id()
    event = CustomerRenamed(customer_id=stream, name="\\u0000 and \\\\u0000")
    store.append(Changes(stream_id=stream, category="customer", expected=0, events=[event]))
    assert store.read_stream(stream)[0].event == event


def test_more_than_two_hundred_events_are_refused():
    stream = context.new_id()
    many = [OrderConfirmed(order_id=stream)] * 201
    with pytest.raises(TooManyEvents):
        store.append(Changes(stream_id=stream, category="order", expected=0, events=many))
    assert store.head() == 0


def test_two_streams_can_not_hold_one_claim():
    one, other = context.new_id(), context.new_id()
    store.append(confirmed(one, claimed=[Claim("email", "ada@example.org", EmailTaken())]))
    with pytest.raises(EmailTaken):
        store.append(confirmed(other, claimed=[Claim("email", "ada@example.org", EmailTaken())]))
    with pytest.raises(ClaimTaken):
        store.append(confirmed(other, claimed=[Claim("email", "ada@example.org", ClaimTaken())]))
    store.append(confirmed(one, expected=1, released=[("email", "ada@example.org")]))
    store.append(confirmed(other, claimed=[Claim("email", "ada@example.org", EmailTaken())]))


def claiming(*values):
    stream = context.new_id()
    return confirmed(stream, claimed=[Claim("email", value, ClaimTaken()) for value in values])


def test_of_two_who_claim_a_value_at_the_same_moment_one_is_refused_and_holds_nobody_back_while_it_waits():
    with transaction.atomic():
        store.append(claiming("one"))
        waiting = Beside(lambda: store.append(claiming("one")))
        eventually(lambda: waiting_for("eventstore_append_v2"))
        assert announced() == 1
    assert type(waiting.outcome()) is ClaimTaken
    assert StoredEvent.objects.count() == 1


def announced():
    """How many writers hold back the readers of the log at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint >> 16 = 20037
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        )
        return cursor.fetchone()[0]


def hold_all_locks(family, names):
    """A session that holds these locks until it is closed, so that whoever wants one of them has to queue for it."""
    holder = raw.connect()
    for name in names:
        holder.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [family, name])
    return holder


def append_both_ways(one, other, family, names):
    """Two appends that touch the same in opposite orders, set off at the same moment; what they raised."""
    with closing(hold_all_locks(family, names)):
        both = [Beside(partial(store.append, *way)) for way in (one, other)]
        eventually(lambda: waiting_for("eventstore_append_v2", sessions=2))
    return [type(each.outcome()) for each in both]


def test_two_that_append_to_the_same_streams_in_opposite_orders_do_not_lock_each_other_out():
    one, other = context.new_id(), context.new_id()
    ways = [confirmed(one), confirmed(other)], [confirmed(other), confirmed(one)]
    errors = append_both_ways(*ways, advisory_locks.STREAM, [str(one), str(other)])
    assert sorted(errors, key=str) == [type(None), ConcurrencyConflict]


def test_two_that_claim_the_same_values_in_opposite_orders_do_not_lock_each_other_out():
    ways = [claiming("one", "other")], [claiming("other", "one")]
    errors = append_both_ways(
        *ways, advisory_locks.CLAIM, [*store.claim_hashes("email", "one"), *store.claim_hashes("email", "other")]
    )
    assert sorted(errors, key=str) == [type(None), ClaimTaken]


def test_a_claimed_value_is_stored_as_a_keyed_hash_only():
    store.append(confirmed(context.new_id(), claimed=[Claim("email", "ada@example.org", EmailTaken())]))
    with connection.cursor() as cursor:
        cursor.execute("SELECT hash FROM eventstore_claim")
        (stored,) = cursor.fetchone()
    assert re.fullmatch("[0-9a-f]{64}", stored)
    assert stored != sha256(b"ada@example.org").hexdigest()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_another_isolation_level_is_refused(level):
    with pytest.raises(UnsafeTransaction), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        store.append(confirmed(context.new_id()))


@pytest.mark.parametrize("commit", ["off", "local", "remote_write"])
def test_a_commit_that_is_not_durable_here_and_on_a_standby_is_refused(commit):
    with pytest.raises(UnsafeTransaction), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL synchronous_commit = {commit}")
        store.append(confirmed(context.new_id()))


def test_a_commit_may_wait_for_more_than_it_has_to():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = remote_apply")
        assert store.append(confirmed(context.new_id())).last == 1


def test_the_tracing_columns_fill_themselves():
    stream, conversation, cause = context.new_id(), context.new_id(), context.new_id()
    with context.acting(correlation_id=conversation, causation_id=cause, actor="user:7"):
        store.append(confirmed(stream))
    event = StoredEvent.objects.get()
    assert (event.correlation_id, event.causation_id, event.actor) == (conversation, cause, "user:7")
    assert event.event_id.version == 7


def test_a_command_is_recorded_with_what_it_appended():
    command = context.new_id()
    store.append(confirmed(context.new_id()), command_id=command)
    record = CommandRecord.objects.get(pk=command)
    assert (record.first_position, record.last_position) == (1, 1)


def test_types_and_values_come_back_as_they_were_recorded():
    stream = context.new_id()
    events = [
        CustomerRegistered(customer_id=stream, name='Zoë "\\" 🎟', email="z@example.org"),
        CustomerBirthDateSet(customer_id=stream, birth_date=date(1815, 12, 10)),
    ]
    store.append(Changes(stream_id=stream, category="customer", expected=0, events=events))
    assert [recorded.event for recorded in store.read_stream(stream)] == events
