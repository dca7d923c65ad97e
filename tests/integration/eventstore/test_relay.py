"""The relay: what comes to the log is published to a broker, in order, whatever is killed meanwhile."""

import json
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from kombu import Connection, Exchange, Queue
from redis import Redis

from config import bundled
from config.bundled.valkey import Valkey
from eventstore import identity, store
from eventstore.context import new_id
from eventstore.feed import Entry
from eventstore.models import Consumer, LogIdentity, StoredEvent
from eventstore.monitoring import consumers
from eventstore.relay import broker, relay
from eventstore.relay.destination import NotPublished
from eventstore.relay.redis_stream import RedisStream
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.processes import eventually, program
from tests.servers import temporary_home

pytestmark = pytest.mark.usefixtures("clean")

STREAM = "events"
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"
RUN = ("manage.py", "relay", "run")


@pytest.fixture(autouse=True)
def relayed(settings):
    settings.EVENTSTORE_RELAY_URL = settings.REDIS_URL
    settings.EVENTSTORE_RELAY_NAME = STREAM


@pytest.fixture
def redis(settings) -> Iterator[Any]:
    with Redis.from_url(settings.REDIS_URL) as connected:
        yield connected


@pytest.fixture
def other_broker() -> Iterator[bundled.Servers]:
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        yield servers


@pytest.fixture
def rabbitmq(settings) -> Iterator[Queue]:
    """A queue that gets all of an exchange of this test's own."""
    settings.EVENTSTORE_RELAY_URL = RABBITMQ
    settings.EVENTSTORE_RELAY_NAME = f"events-{new_id().hex}"
    with Connection(RABBITMQ) as connected:
        exchange = Exchange(settings.EVENTSTORE_RELAY_NAME, "topic", durable=True)
        queue = Queue(f"all-of-{exchange.name}", exchange, "#")(connected.default_channel)
        queue.declare()
        yield queue
        queue.delete()
        queue.exchange.delete()


def has_rabbitmq() -> bool:
    try:
        socket.create_connection(("127.0.0.1", 5672), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def relaying() -> Iterator[None]:
    """In a thread of this process; it has ended when this has."""
    stopping = Event()

    def run() -> None:
        try:
            relay.run(stopping, broker.connect)
        finally:
            connections.close_all()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def append(number: int, **more: Any) -> list[int]:
    with closing(raw.connect(autocommit=True)) as writer:
        return [raw.append(writer, **more) for _ in range(number)]


@pytest.fixture
def identity_after() -> Iterator[None]:
    """The log is again what it was."""
    (kept,) = LogIdentity.objects.all()
    yield
    kept.save()
    connections.close_all()


def here() -> UUID:
    epoch = identity.epoch()
    assert epoch
    return epoch


def published(redis: Any) -> list[int]:
    return [int(place.partition(b"-")[0]) for place, _ in redis.xrange(STREAM)]


def place() -> int:
    return consumers_row().position


def consumers_row() -> Consumer:
    return Consumer.objects.get(pk=relay.NAME)


def has_come_to(position: int) -> Callable[[], bool]:
    return lambda: Consumer.objects.filter(pk=relay.NAME, position__gte=position).exists()


def test_it_publishes_what_comes_as_the_feed_tells_it(redis):
    shop.customer()
    relay.begin(0)
    with relaying():
        eventually(has_come_to(store.head()))
        shop.conference_on_sale()
        eventually(has_come_to(store.head()))
    events = StoredEvent.objects.order_by("position")
    assert published(redis) == [event.position for event in events]
    _, fields = redis.xrange(STREAM)[0]
    assert (fields[b"type"], fields[b"epoch"]) == (b"customer.registered", str(here()).encode())
    told = json.loads(fields[b"event"])
    assert (told["event_id"], told["data"]["name"]) == (str(events[0].event_id), "Ada Lovelace")


def test_at_first_it_begins_at_the_end_of_the_log(redis):
    (before,) = append(1)
    with relaying():
        eventually(has_come_to(before))
        (after,) = append(1)
        eventually(has_come_to(after))
    assert published(redis) == [after]


def test_it_goes_on_where_it_was_and_publishes_only_what_is_wanted(settings, redis):
    settings.EVENTSTORE_RELAY_TYPES = ["customer.registered"]
    relay.begin(0)
    for _ in range(2):
        shop.customer()
        shop.conference_on_sale()
        with relaying():
            eventually(has_come_to(store.head()))
    wanted = StoredEvent.objects.filter(type="customer.registered").order_by("position")
    assert published(redis) == [event.position for event in wanted]


def test_a_type_that_does_not_exist_is_refused(settings):
    settings.EVENTSTORE_RELAY_TYPES = ["customer.registered", "customer.sneezed"]
    with pytest.raises(relay.RelayRefused, match="sneezed"):
        relay.run(Event(), broker.connect)


def test_a_stream_keeps_about_as_many_as_it_shall(settings, redis):
    settings.EVENTSTORE_RELAY_KEPT = 100
    relay.begin(0)
    last = append(1_000)[-1]
    with relaying():
        eventually(has_come_to(last))
    assert 100 <= redis.xlen(STREAM) < 300
    assert published(redis)[-1] == last


def test_killed_again_and_again_it_publishes_each_event_once(redis):
    chance = random.Random(1)
    relay.begin(0)
    for _ in range(3):
        with program(*RUN, ready="relaying", RELAY_URL=os.environ["REDIS_URL"], RELAY_NAME=STREAM) as running:
            append(chance.randrange(100, 1_000))
            running.kill()
    with relaying():
        eventually(has_come_to(store.head()))
    assert published(redis) == list(StoredEvent.objects.order_by("position").values_list("position", flat=True))


def test_of_two_one_relays_and_the_other_takes_its_place(redis):
    environment = {"RELAY_URL": os.environ["REDIS_URL"], "RELAY_NAME": STREAM}
    relay.begin(0)
    with program(*RUN, ready="relaying", **environment) as first, program(*RUN, **environment) as second:
        eventually(has_come_to(append(10)[-1]))
        assert "relaying" not in second.output
        first.kill()
        eventually(has_come_to(append(10)[-1]))
        assert "relaying" in second.output
    assert published(redis) == list(StoredEvent.objects.order_by("position").values_list("position", flat=True))


def test_it_ends_in_order_when_it_is_asked_to(redis):
    with program(*RUN, ready="relaying", RELAY_URL=os.environ["REDIS_URL"], RELAY_NAME=STREAM) as running:
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(90) == 0


@pytest.mark.bundled
@pytest.mark.parametrize("lose", [Valkey.kill, Valkey.freeze])
def test_while_the_broker_is_away_it_waits_and_staff_are_told(monkeypatch, settings, other_broker, lose):
    monkeypatch.setattr(relay, "AGAIN", 0.1)
    monkeypatch.setattr("eventstore.relay.redis_stream.SECONDS", 1.0)
    settings.EVENTSTORE_RELAY_URL = other_broker.redis_url
    relay.begin(0)
    first = append(1)[-1]
    with relaying():
        eventually(has_come_to(first))
        lose(other_broker.valkey)
        last = append(3)[-1]
        eventually(lambda: consumers_row().errors)
        assert "consumer errors" in [issue.kind for issue in consumers.consumer_issues()]
        assert place() == first
        if lose is Valkey.kill:
            other_broker.valkey.start()
        else:
            other_broker.valkey.thaw()
        eventually(has_come_to(last))
        assert consumers_row().errors == []
    with Redis.from_url(other_broker.redis_url) as redis:
        assert published(redis)[-3:] == list(range(first + 1, last + 1))


def test_a_broker_that_has_lost_some_is_given_them_again(redis):
    relay.begin(0)
    positions = append(10)
    with relaying():
        eventually(has_come_to(positions[-1]))
    older = redis.xrange(STREAM, count=6)
    redis.delete(STREAM)
    for entry, fields in older:
        redis.xadd(STREAM, fields, entry)
    positions += append(1)
    with relaying():
        eventually(has_come_to(positions[-1]))
        eventually(lambda: published(redis) == positions)


def test_a_part_of_what_was_one_event_is_not_left_out(redis, settings):
    parts = [
        Entry(7, following, new_id(), new_id(), "order", "order.placed", b"{}") for following in (6, 6, 7)
    ]  # of one position
    first = RedisStream(settings.REDIS_URL, STREAM, here(), 0)
    first.publish(parts[:2])
    first.close()
    again = RedisStream(settings.REDIS_URL, STREAM, here(), 0)
    assert again.last() == 7
    again.publish(parts)
    again.close()
    assert [place for place, _ in redis.xrange(STREAM)] == [b"7-0", b"7-1", b"7-2"]


def test_events_of_two_logs_are_never_in_one_stream(monkeypatch, redis, identity_after):
    monkeypatch.setattr(relay, "AGAIN", 0.1)
    relay.begin(0)
    (position,) = append(1)
    with relaying():
        eventually(has_come_to(position))
    LogIdentity.objects.update(epoch=new_id())
    connections.close_all()  # it may remember the log
    with relaying():
        eventually(lambda: "relay begin --after" in "".join(consumers_row().errors))
    call_command("relay", "begin", "--after", "0")
    with relaying():
        eventually(lambda: "another log than this one" in "".join(consumers_row().errors))
    redis.delete(STREAM)
    with relaying():
        eventually(has_come_to(position))
        eventually(lambda: published(redis) == [position])


def test_a_copy_of_the_log_publishes_nothing(monkeypatch, redis, identity_after):
    monkeypatch.setattr(relay, "AGAIN", 0.1)
    relay.begin(0)
    append(1)
    LogIdentity.objects.update(database="another")
    connections.close_all()
    stopping = Event()
    with relaying():
        assert not stopping.wait(1)
    assert not redis.exists(STREAM)
    with pytest.raises(CommandError, match="copy"):
        call_command("relay", "begin", "--after", "0")


def test_it_begins_only_where_there_is_something_and_nobody_relays():
    with pytest.raises(CommandError, match="no such position"):
        call_command("relay", "begin", "--after", "1000000")
    with relaying():
        eventually(has_come_to(0))
        with pytest.raises(CommandError, match="running"):
            call_command("relay", "begin", "--after", "0")


def test_without_an_address_it_does_not_run(settings):
    settings.EVENTSTORE_RELAY_URL = ""
    with pytest.raises(CommandError, match="RELAY_URL"):
        call_command("relay", "run")


def test_its_name_may_be_nobody_elses():
    consumers.report(relay.NAME, 0, here(), [], by="user:1")
    with pytest.raises(relay.RelayRefused, match="Somebody else"):
        relay.run(Event(), broker.connect)


def test_what_is_no_stream_is_left_alone(redis):
    redis.set(STREAM, "something else")
    with pytest.raises(NotPublished):
        broker.connect(here()).last()
    assert redis.get(STREAM) == b"something else"


@pytest.mark.skipif(not has_rabbitmq(), reason="there is no RabbitMQ on this machine")
def test_rabbitmq_gets_lasting_messages_with_the_type_as_key(rabbitmq):
    relay.begin(0)
    shop.customer()
    with relaying():
        eventually(has_come_to(store.head()))
    event = StoredEvent.objects.order_by("position")[0]
    message = rabbitmq.get(no_ack=True)
    assert message.delivery_info["routing_key"] == message.properties["type"] == event.type
    assert message.properties["message_id"] == str(event.event_id)
    assert message.properties["delivery_mode"] == 2
    assert message.headers == {"epoch": str(here()), "position": event.position}
    assert json.loads(message.body)["data"]["name"] == "Ada Lovelace"


@pytest.mark.skipif(not has_rabbitmq(), reason="there is no RabbitMQ on this machine")
def test_rabbitmq_misses_nothing_when_the_relay_is_killed(rabbitmq, settings):
    environment = {"RELAY_URL": RABBITMQ, "RELAY_NAME": settings.EVENTSTORE_RELAY_NAME}
    chance = random.Random(2)
    relay.begin(0)
    for _ in range(3):
        with program(*RUN, ready="relaying", **environment) as running:
            append(chance.randrange(100, 500))
            running.kill()
    with relaying():
        eventually(has_come_to(store.head()))
    got = []
    while message := rabbitmq.get(no_ack=True):
        got.append(message.headers["position"])
    assert list(dict.fromkeys(got)) == list(StoredEvent.objects.order_by("position").values_list("position", flat=True))


@pytest.mark.skipif(not has_rabbitmq(), reason="there is no RabbitMQ on this machine")
def test_a_rabbitmq_that_is_away_is_not_waited_for(settings):
    settings.EVENTSTORE_RELAY_URL = "amqp://guest:guest@127.0.0.1:1//"
    with pytest.raises(NotPublished):
        broker.connect(here())
