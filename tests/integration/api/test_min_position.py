"""Reading what one wrote: a read says which position it wants to see, and waits for it."""

import asyncio
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from eventstore import identity, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Reshard, Resume
from eventstore.subscriptions import feeding, read_your_writes, visibility
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.domain.conference_changes import RenameConference
from ordering.projections.conference import SeatAvailability
from ordering.projections.customer import CustomerProfiles
from ordering.projections.order import OrderSummaries
from ordering.projections.waitlist import WaitlistEntries
from projections.projection import Projection
from tests.integration import shop
from tests.integration.api.caller import (
    V1,
    Caller,
    assert_problem,
    customer,
    nothing_written,
    placing,
    staff,
    storefront,
)
from tests.integration.api.walk import views
from tests.integration.eventstore import raw
from tests.integration.http_client import Http
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")

PROMISE = 2.0
"""Seconds after which a read is answered, whatever it waits for."""

READ_MODELS = (CustomerProfiles, OrderSummaries, SeatAvailability, WaitlistEntries)


@pytest.fixture
def ada():
    return customer()


@pytest.fixture
def conference():
    return shop.conference_on_sale()


@pytest.fixture
def order(ada, conference):
    return shop.order(ada[0], conference)


@pytest.fixture
def paths(ada, conference, order):
    """Whatever reads read models, with those that it reads."""
    entry = shop.wait(ada[0], shop.conference_on_sale(1), 2)
    return {
        f"/customers/{ada[0]}": (CustomerProfiles,),
        "/conferences": (SeatAvailability,),
        f"/conferences/{conference}": (SeatAvailability,),
        "/orders": (OrderSummaries, SeatAvailability),
        f"/orders/{order}": (OrderSummaries, SeatAvailability),
        "/waitlist": (WaitlistEntries,),
        f"/waitlist/{entry}": (WaitlistEntries,),
    }


def stop(*names):
    for name in names:
        perform(Pause(target=name), by="anna")


def go_on(*names):
    for name in names:
        perform(Resume(target=name), by="anna")
    feeding.catch_up(registry.of(Mode.SYNC))


def renamed(conference):
    """A position that a conference shows once `seat-availability` is there."""
    return dispatch(RenameConference(conference_id=conference, name=f"PyCon {new_id().hex[:8]}")).position


def pending(position, read_model_position):
    return {"status": "pending", "position": position, "read_model_position": read_model_position}


# what a write answers


def test_a_write_names_the_last_position_of_all_that_followed_and_a_read_of_it_shows_that(conference, ada):
    customer_id, caller = ada
    answer = caller.post("/orders", placing(customer_id, conference))
    placed = answer.json()
    followed = StoredEvent.objects.filter(correlation_id=answer["X-Correlation-Id"])
    position = int(answer["Event-Position"])
    assert followed.get(type="payment.requested").position == position == store.head()
    assert followed.count() == 3
    assert placed["status"] == "awaiting_payment"
    one = caller.get(f"/orders/{placed['id']}", Min_Position=str(position))
    assert (one.status_code, one.json()["status"], one["ETag"]) == (200, "awaiting_payment", answer["ETag"])
    (listed,) = caller.get("/orders", Min_Position=str(position)).json()["results"]
    assert listed == one.json()


def test_a_write_names_it_too_when_nothing_feeds_and_a_read_is_pending_until_something_does(conference, ada):
    customer_id, caller = ada
    stop("order-summaries")
    before = SubscriberRow.objects.get(pk="order-summaries").checkpoint
    answer = caller.post("/orders", placing(customer_id, conference))
    position = int(answer["Event-Position"])
    assert (answer.json()["status"], position) == ("awaiting_payment", store.head())
    for path in (f"/orders/{answer.json()['id']}", "/orders"):
        late = caller.get(path, Min_Position=str(position))
        assert (late.status_code, late.json()) == (202, pending(position, before))
        assert late["Retry-After"] == "1"
    go_on("order-summaries")
    (listed,) = caller.get("/orders", Min_Position=str(position)).json()["results"]
    assert listed["status"] == "awaiting_payment"


def test_a_write_that_could_not_wait_names_what_there_is_by_then(conference, ada, settings):
    settings.EVENTSTORE_SETTLE_SECONDS = 0.001
    customer_id, caller = ada
    answer = caller.post("/orders", placing(customer_id, conference))
    followed = StoredEvent.objects.filter(correlation_id=answer["X-Correlation-Id"])
    assert int(answer["Event-Position"]) == followed.latest("position").position
    read_your_writes.bound.forget()


def test_what_changes_nothing_names_the_last_position_of_its_stream(ada):
    customer_id, caller = ada
    shop.customer()
    answer = caller.patch(f"/customers/{customer_id}", {"name": "Ada Lovelace"})
    assert (answer.json()["recorded"], int(answer["Event-Position"])) == ([], store.head() - 1)


# what a read says


def test_every_read_of_a_read_model_that_is_behind_is_pending(paths, ada):
    _, caller = ada
    stop(*(each.name for each in READ_MODELS))
    behind = store.head()
    position = shop.place(ada[0], shop.conference_on_sale()).chain_position
    for path in paths:
        late = caller.get(path, Min_Position=str(position))
        assert (late.status_code, late.json()) == (202, pending(position, behind)), path
        head = caller.call("HEAD", path, Min_Position=str(position))
        assert (head.status_code, head["Retry-After"], head.content) == (202, "1", b""), path
        for reached in (behind, 0):
            assert caller.get(path, Min_Position=str(reached)).status_code == 200, path
        assert caller.get(path).status_code == 200, path


def test_one_that_does_not_read_the_late_read_model_is_answered(paths, ada):
    _, caller = ada
    stop("waitlist-entries")
    position = shop.place(ada[0], shop.conference_on_sale()).chain_position
    late = {path for path in paths if caller.get(path, Min_Position=str(position)).status_code == 202}
    assert late == {path for path, reads in paths.items() if WaitlistEntries in reads}


def test_what_is_read_from_the_log_is_there_at_once(order, ada, conference):
    _, caller = ada
    stop("order-summaries", "seat-availability")
    position = str(renamed(conference))
    assert caller.get(f"/orders/{order}/history", Min_Position=position).status_code == 200
    assert staff().get(f"/orders/{order}?as_of={position}", Min_Position=position).status_code == 200
    assert_problem(caller.get(f"/orders/{order}/history", Min_Position=str(int(position) + 1)), 400, "invalid")


def test_what_is_not_there_or_is_somebody_elses_is_not_pending(order, ada, conference):
    _, somebody = customer()
    stop("order-summaries", "waitlist-entries", "customer-profiles")
    position = str(renamed(conference))
    for path in (f"/orders/{order}", f"/customers/{ada[0]}", f"/orders/{new_id()}", f"/waitlist/{new_id()}"):
        assert_problem(somebody.get(path, Min_Position=position), 404, "not-found")
    assert_problem(Caller().get(f"/orders/{order}", Min_Position=position), 401, "not-authenticated")


def test_a_tag_is_not_compared_with_what_is_late(order, ada):
    _, caller = ada
    shown = caller.get(f"/orders/{order}")["ETag"]
    stop("order-summaries")
    position = str(shop.pay(order).chain_position)
    for name in ("If-None-Match", "If-Match"):
        for tag in (shown, '"1-0"'):
            assert caller.get(f"/orders/{order}", Min_Position=position, **{name: tag}).status_code == 202


def test_of_shards_the_slowest_counts(ada, conference, settings):
    _, caller = ada
    settings.EVENTSTORE_MODES = {"customer-profiles": "async"}
    perform(Reshard(target="customer-profiles", shards=2), by="anna")
    stopped = store.head()
    position = renamed(conference)
    SubscriberRow.objects.filter(pk="customer-profiles 1/2").update(checkpoint=position)
    assert visibility.progress(["customer-profiles"]).checkpoints == {"customer-profiles": stopped}
    late = caller.get(f"/customers/{ada[0]}", Min_Position=str(position))
    assert (late.status_code, late.json()) == (202, pending(position, stopped))


@pytest.mark.parametrize(
    "value", ["", "-1", "+1", "1.0", "1e3", "0x1", "one", "1, 2", "٣", "1_0", "9223372036854775808", "1" * 20]
)
def test_what_is_no_position_is_refused(conference, value):
    for path in ("/conferences", f"/conferences/{conference}"):
        body = assert_problem(Caller().get(path, Min_Position=value), 400, "invalid")
        (error,) = body["errors"]
        assert (error["pointer"], error["code"]) == ("", "invalid")
        assert error["detail"].startswith("Min-Position ")


def test_a_position_that_the_log_has_not_come_to_is_refused(conference):
    for beyond in (store.head() + 1, 2**63 - 1):
        body = assert_problem(Caller().get("/conferences", Min_Position=str(beyond)), 400, "invalid")
        assert body["errors"] == [
            {"pointer": "", "code": "beyond-log", "detail": "Min-Position is a position that the log has not come to."}
        ]


def test_one_that_was_handed_out_and_not_committed_is_beyond_the_log_too(conference):
    position = store.head() + 1
    other = raw.connect()
    assert raw.append(other) == position
    assert_problem(Caller().get("/conferences", Min_Position=str(position)), 400, "invalid")
    other.close()
    # What is committed after it can be read, though the log is not final there yet.
    assert Caller().get("/conferences", Min_Position=str(renamed(conference))).status_code == 200


def test_a_write_takes_no_position(order, ada, conference):
    customer_id, caller = ada
    calls = {
        "/orders": placing(customer_id, conference),
        f"/orders/{order}/cancel": {},
        "/auth/token": {"email": "ada@example.org", "password": "none"},
    }
    for name, value in (("Min-Position", "0"), ("Log-Epoch", str(identity.epoch()))):
        for path, body in calls.items():
            with nothing_written():
                refused = assert_problem(caller.post(path, body, **{name: value}), 400, "invalid")
            assert refused["errors"] == [{"pointer": "", "code": "unknown", "detail": f"{name} belongs to reads."}]


# the name of the log


def test_a_write_names_its_log_and_a_read_of_another_is_refused(ada):
    customer_id, caller = ada
    answer = caller.patch(f"/customers/{customer_id}", {"name": "Ada King"})
    assert answer["Log-Epoch"] == str(identity.identity().epoch)
    path, position = f"/customers/{customer_id}", answer["Event-Position"]
    assert caller.get(path, Min_Position=position, Log_Epoch=answer["Log-Epoch"].upper()).json()["name"] == "Ada King"
    for headers in ({}, {"Min_Position": position}, {"Min_Position": str(2**63 - 1)}):
        assert_problem(caller.get(path, Log_Epoch=str(new_id()), **headers), 409, "log-restored")
    body = assert_problem(caller.get(path, Log_Epoch="former"), 400, "invalid")
    assert body["errors"] == [{"pointer": "", "code": "invalid", "detail": "Log-Epoch has to be a UUID."}]


def test_a_copy_has_no_name_until_it_is_let_act_and_then_another(ada, fence):
    customer_id, caller = ada
    path, former = f"/customers/{customer_id}", str(identity.epoch())
    fence()
    answer = caller.patch(path, {"name": "Ada King"})
    assert (answer.status_code, "Log-Epoch" in answer.headers) == (200, False)
    assert_problem(caller.get(path, Log_Epoch=former), 409, "log-restored")
    assert caller.get(path, Min_Position=answer["Event-Position"]).status_code == 200
    now = str(identity.confirm(by="anna"))
    assert caller.patch(path, {"name": "Ada"})["Log-Epoch"] == now != former
    assert_problem(caller.get(path, Log_Epoch=former), 409, "log-restored")


# what is declared


def test_every_view_that_can_be_read_declares_the_read_models_that_it_reads():
    readable = {path: view for path, view in views() if hasattr(view, "get")}
    assert len(readable) == 15
    assert [path for path, view in readable.items() if "reads" not in vars(view)] == []
    declared = {projection for view in readable.values() for projection in view.reads}
    assert declared <= {type(each) for each in registry if isinstance(each, Projection)}


def test_what_is_declared_is_what_is_read(paths, order):
    caller = storefront()
    tables = {projection.model._meta.db_table: projection for projection in READ_MODELS}
    shop.pay(order)  # so that its cancellation is shown, by the terms of its conference
    for path, reads in {**paths, f"/orders/{order}/history": ()}.items():
        with CaptureQueriesContext(connection) as queries:
            assert caller.get(path).status_code == 200
        found = {tables[table] for each in queries for table in tables if f'"{table}"' in each["sql"]}
        assert found == set(reads), path


def test_the_schema_says_all_of_it():
    calls = Caller().get("/schema").json()["paths"]
    for path, view in views():
        if view.schema is None:
            continue
        for method, call in calls[
            f"/{path}".replace("<id:", "{").replace("<str:", "{").replace("<int:", "{").replace(">", "}")
        ].items():
            parameters = {each["name"] for each in call.get("parameters", ()) if each["in"] == "header"}
            answered = {name for each in call["responses"].values() for name in each.get("headers", ())}
            both = {"Min-Position", "Log-Epoch"}
            assert (both <= parameters) == (method == "get"), (path, method)
            assert ({"Event-Position", "Log-Epoch"} <= answered) == (method != "get" and view.records), (path, method)
            if method == "get" and view.reads:
                assert call["responses"]["202"]["content"]["application/json"]["schema"] == {
                    "$ref": "#/components/schemas/Pending"
                }


# a site, whose requests wait


NAME = "min-position"
THREADS, WAITERS, MOST_CONNECTIONS = 2, 200, 2 + 2 + 1 + 1
"""Of what serves, looks how the site is, looks for those who wait, and says that the site is alive."""


@pytest.fixture(scope="module")
def patient(sites):
    """A site whose reads wait for a minute."""
    with sites(SITE_THREADS=str(THREADS), MIN_POSITION_SECONDS="60", PGAPPNAME=NAME) as address:
        yield address


@pytest.fixture(scope="module")
def narrow(sites):
    """The same, where only two can wait."""
    with sites(SITE_THREADS="1", SITE_QUEUE="1", MIN_POSITION_SECONDS="60") as address:
        yield address


@pytest.fixture(scope="module")
def usual(sites):
    """A site whose reads wait for as long as they do by default."""
    with sites() as address:
        yield address


@pytest.fixture
def late(conference):
    """A position that `seat-availability` doesn't come to before it goes on."""
    stop("seat-availability")
    return renamed(conference)


def connections_of_site():
    with raw.connect() as own:
        ((count,),) = own.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [NAME])
    return count


def threads_of_site(site):
    port = f"--port={urlsplit(site).port}"
    (parent,) = [each for each in psutil.Process().children() if port in each.cmdline()]
    return sum(each.num_threads() for each in (parent, *parent.children(recursive=True)))


async def connected(site):
    """A connection that the site has answered once."""
    address = urlsplit(site)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    await ask(writer, f"{V1}/conferences?limit=1")
    assert await answered(reader) == 200
    return reader, writer


async def ask(writer, path, method="GET", **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await writer.drain()


async def answered(reader):
    """The status, once all of the answer is there."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    (length,) = [line.partition(":")[2] for line in head if line.startswith("content-length:")]
    await reader.readexactly(int(length))
    return int(head[0].split()[1])


def test_many_wait_without_a_thread_or_a_connection_each_and_keep_nobody_waiting(patient, late):
    asyncio.run(_many_wait(patient, late))


async def _many_wait(site, position):
    clients = [await connected(site) for _ in range(WAITERS)]
    idle = threads_of_site(site)
    try:
        for _, writer in clients:
            await ask(writer, f"{V1}/conferences?limit=1", **{"Min-Position": str(position)})
        answers = [asyncio.create_task(answered(reader)) for reader, _ in clients]
        other, writer = await connected(site)
        for _ in range(10):
            async with asyncio.timeout(10 * PROMISE):
                await ask(writer, f"{V1}/conferences?limit=1")
                assert await answered(other) == 200
            assert threads_of_site(site) <= idle + THREADS + 4
            assert connections_of_site() <= MOST_CONNECTIONS
        assert not any(answer.done() for answer in answers)
        await asyncio.to_thread(go_on, "seat-availability")
        async with asyncio.timeout(10 * PROMISE):
            assert set(await asyncio.gather(*answers)) == {200}
    finally:
        for _, writer in clients:
            writer.close()
    await asyncio.to_thread(eventually, lambda: connections_of_site() <= MOST_CONNECTIONS)


def test_who_waits_for_long_enough_is_pending(usual, late, conference):
    for method, path in (("GET", "/conferences"), ("HEAD", "/conferences"), ("GET", f"/conferences/{conference}")):
        began = time.monotonic()
        answer = Http(usual).call(method, V1 + path, Min_Position=str(late))
        assert time.monotonic() - began >= PROMISE
        assert (answer.status, answer.headers["Retry-After"]) == (202, "1")
        assert bool(answer.content) == (method == "GET")


@pytest.mark.parametrize("value", ["soon", "9" * 19, str(2**63 - 1)])
def test_what_can_not_be_waited_for_is_refused(patient, late, value):
    assert Http(patient).call("GET", f"{V1}/conferences", Min_Position=value).status == 400


def test_what_is_read_elsewhere_is_not_waited_for(patient, late):
    assert Http(patient).call("GET", f"{V1}/orders/{new_id()}/history", Min_Position=str(late)).status == 401
    assert Http(patient).call("GET", f"{V1}/nowhere", Min_Position=str(late)).status == 404
    assert Http(patient).call("GET", "/admin/login/", Min_Position=str(late)).status == 200


def test_more_than_there_is_room_for_are_refused_and_who_leaves_makes_room(narrow, late):
    asyncio.run(_leaving(narrow, late))


async def _leaving(site, position):
    async def waiting():
        reader, writer = await connected(site)
        await ask(writer, f"{V1}/conferences", **{"Min-Position": str(position)})
        return asyncio.create_task(answered(reader)), writer

    clients = dict([await waiting() for _ in range(3)])
    (refused,), waiters = await asyncio.wait(clients, return_when=asyncio.FIRST_COMPLETED)
    assert refused.result() == 503
    for waiter in waiters:
        clients[waiter].close()
    answer, writer = await waiting()
    while (await asyncio.wait({answer}, timeout=PROMISE))[0]:  # not noticed yet that somebody has left
        assert answer.result() == 503
        answer, writer = await waiting()
    await asyncio.to_thread(go_on, "seat-availability")
    assert await answer == 200
    writer.close()
    await asyncio.wait(waiters)
    assert all(isinstance(waiter.exception(), asyncio.IncompleteReadError | ConnectionError) for waiter in waiters)


@contextmanager
def locked():
    with raw.connect("owner") as owner:
        owner.execute("LOCK TABLE eventstore_subscriber")
        yield
        owner.rollback()


def test_a_database_that_does_not_answer_ends_the_wait(patient, conference):
    with locked():
        answer = Http(patient).call("GET", f"{V1}/conferences", Min_Position=str(store.head()))
    assert answer.status == 503
    assert Http(patient).call("GET", f"{V1}/conferences", Min_Position=str(store.head())).status == 200
