"""The feed: every event of the log once and in order, for whoever may see the log, wherever they go on."""

import asyncio
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing, contextmanager, suppress
from urllib.parse import urlsplit

import psutil
import pytest
from django.db import connections
from knox.models import AuthToken

from eventstore import codec, feed, identity, store
from eventstore.codec import former
from eventstore.context import new_id
from eventstore.feed import Wanted
from eventstore.models import LogIdentity, StoredEvent
from ordering.api import feed as feed_calls
from ordering.api import tail
from ordering.api.tail import Interrupted, Newest, Tail
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import V1, Caller, assert_problem
from tests.integration.eventstore import raw
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def follower():
    return callers.caller_for(callers.follower())


@pytest.fixture
def log():
    """Some events of several types, categories and streams."""
    conference = shop.conference_on_sale()
    return shop.order(shop.customer(), conference)


def page(caller, **asked):
    answer = caller.get("/events?" + "&".join(f"{name}={value}" for name, value in asked.items()))
    assert answer.status_code == 200, answer.content
    return answer.json()


def all_of(caller, **asked):
    """Page by page, as a consumer does that reads what is there."""
    after, found = 0, []
    while (got := page(caller, after=after, **asked))["next"] > after:
        found += got["events"]
        after = got["next"]
    return found


# pages


def test_every_event_is_told_once_and_in_order(follower, log):
    stored = list(StoredEvent.objects.order_by("position"))
    for limit in (1, 2, 500):
        told = all_of(follower, limit=limit)
        assert [each["position"] for each in told] == [each.position for each in stored]
    for event, each in zip(stored, told, strict=True):
        assert each["next"] == event.position
        assert each["event_id"] == str(event.event_id)
        assert each["stream_id"] == str(event.stream_id)
        assert (each["category"], each["version"], each["type"]) == (event.category, event.version, event.type)
        assert (each["schema_version"], each["data"]) == (event.schema_version, event.data)
        assert each["correlation_id"] == str(event.correlation_id)
        assert each["metadata"] == event.metadata
    whole = page(follower)
    assert whole["epoch"] == str(identity.epoch())
    assert whole["next"] == whole["horizon"] == stored[-1].position


def test_some_of_it_can_be_asked_for(follower, log):
    everything = all_of(follower)
    types = {"order.placed", "seats.reserved"}
    assert all_of(follower, types=",".join(types), limit=1) == [each for each in everything if each["type"] in types]
    orders = all_of(follower, categories="order")
    assert orders == [each for each in everything if each["category"] == "order"] != []
    assert all_of(follower, stream=str(log).upper()) == [each for each in everything if each["stream_id"] == str(log)]
    assert all_of(follower, stream=log, types="seats.reserved") == []


def test_whoever_looks_for_what_is_rare_goes_on_all_the_same(follower, log, monkeypatch):
    monkeypatch.setattr(feed, "SCANNED", 2)
    got = page(follower, types="order.placed")
    assert got["events"] == []
    assert got["next"] == 2 < got["horizon"]
    assert [each["type"] for each in all_of(follower, types="order.placed")] == ["order.placed"]


def test_nothing_is_passed_that_may_still_come(follower, log):
    end = store.head()
    with closing(raw.connect()) as writer:
        late = raw.append(writer)
        with closing(raw.connect()) as another:
            raw.append(another)
            another.commit()
        got = page(follower, after=end)
        assert (got["events"], got["next"], got["horizon"]) == ([], end, end)
        writer.commit()
    assert [each["position"] for each in page(follower, after=end)["events"]] == [late, late + 1]


def test_a_position_that_was_rolled_back_is_nobodys_place_to_go_on(follower, log):
    end = store.head()
    with closing(raw.connect()) as writer:
        raw.append(writer)
        writer.rollback()
    assert store.horizon() == end + 1
    assert page(follower, after=end)["next"] == end
    assert_problem(follower.get(f"/events?after={end + 1}"), 400, "invalid")


def test_what_is_read_as_several_events_is_told_as_these_and_none_of_them_can_be_missed(follower, log, monkeypatch):
    monkeypatch.setattr(codec, "_formers", {})
    former("order.done", into={"order.confirmed": 1, "order.expired": 1})(
        lambda fields: {"order.confirmed": fields, "order.expired": fields}
    )
    with closing(raw.connect()) as writer:
        position = raw.append(writer, type="order.done")
        writer.commit()
    got = page(follower, after=position - 1, limit=1)
    assert [each["type"] for each in got["events"]] == ["order.confirmed", "order.expired"]
    assert [each["next"] for each in got["events"]] == [position - 1, position]
    assert got["next"] == position
    assert [each["type"] for each in all_of(follower, types="order.expired")] == ["order.expired"]


def test_what_this_code_does_not_know_is_told_as_it_is_stored(follower):
    with closing(raw.connect()) as writer:
        raw.append(writer, type="order.from-tomorrow", data={"a": 1}, schema_version=7)
        raw.append(writer, type="order.confirmed", data={"b": 2})
        writer.commit()
    told = [(each["type"], each["schema_version"], each["data"]) for each in all_of(follower)]
    assert told == [("order.from-tomorrow", 7, {"a": 1}), ("order.confirmed", 1, {"b": 2})]


# who may, and what can be asked


def test_only_who_may_see_the_log_in_the_admin_may_follow_it(follower, log):
    assert_problem(Caller().get("/events"), 401, "not-authenticated")
    for caller in (callers.customer()[1], callers.storefront(), callers.staff()):
        assert_problem(caller.get("/events"), 403, "permission-denied")
        assert_problem(caller.get("/events", Accept="text/event-stream"), 403, "permission-denied")
    assert page(follower)["events"]


@pytest.mark.parametrize(
    "asked",
    [
        *("after=-1", "after=x", "after=1.5", f"after={2**63}", "after=999999", "limit=0", "limit=1001", "wait=-1"),
        *("wait=31", "types=no.such-event", "types=order.placed,", "types=", "stream=x", "epoch=x", "position=1"),
        "after=1&after=2",
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_what_cannot_be_asked_is_told(follower, log, asked, accept):
    assert_problem(follower.get(f"/events?{asked}", Accept=accept), 400, "invalid")


@pytest.mark.parametrize("last", ["", "x", "-1", "1" * 19, "٣", "99999"])
def test_the_last_event_id_is_a_position(follower, log, last):
    assert_problem(follower.get("/events", Last_Event_ID=last, Accept="text/event-stream"), 400, "invalid")


def test_the_last_event_id_goes_before_after(follower, log):
    end = store.head()
    got = follower.get("/events?after=0", Last_Event_ID=str(end - 1)).json()
    assert [each["position"] for each in got["events"]] == [end]


def test_positions_of_another_log_are_refused(follower, log):
    assert page(follower, epoch=identity.epoch())["events"]
    assert_problem(follower.get(f"/events?epoch={new_id()}"), 409, "log-restored")


def test_a_copy_that_nobody_has_confirmed_tells_nothing(follower, log):
    kept = LogIdentity.objects.get()
    LogIdentity.objects.update(database="another cluster")
    connections["default"].close()
    try:
        refused = follower.get("/events")
    finally:
        LogIdentity.objects.update(database=kept.database)
    assert_problem(refused, 503, "log-fenced")
    assert refused["Retry-After"] == "30"


# following


@pytest.fixture(scope="module")
def site(sites):
    """Few threads, and nobody who follows needs one."""
    with sites(SITE_THREADS="2", SITE_QUEUE="5", SITE_LOCK_TIMEOUT_SECONDS="60") as address:
        yield address


class Stream:
    """An answer without an end, read piece by piece."""

    def __init__(self, site, token, accept, path="/events", **headers):
        self.connection = http.client.HTTPConnection(urlsplit(site).netloc, timeout=30)
        asked = {"Authorization": f"Token {token}", "Accept": accept}
        self.connection.request("GET", V1 + path, headers={**asked, **headers})
        self.response = self.connection.getresponse()
        self.socket = self.connection.sock

    def lines(self, number):
        """The next lines of JSON, without heartbeats."""
        found: list[dict] = []
        while len(found) < number:
            line = self.response.readline()
            assert line, "the stream has ended"
            found += [json.loads(line)] if line.strip() and b'"position"' in line else []
        return found

    def event(self):
        """The next event of a stream of server-sent events, by its fields."""
        fields: dict[str, str] = {}
        while True:
            line = self.response.readline().decode()
            assert line, "the stream has ended"
            if line == "\n" and "data" in fields:
                return fields
            if line == "\n":
                fields = {}
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value

    def close(self):
        self.connection.close()


@contextmanager
def stream(*asked, **headers):
    with closing(Stream(*asked, **headers)) as opened:
        yield opened


@pytest.fixture
def token():
    return AuthToken.objects.create(user=callers.follower())[1]


def appended(number=1, **more):
    with closing(raw.connect()) as writer:
        positions = [raw.append(writer, **more) for _ in range(number)]
        writer.commit()
    return positions


def test_a_page_waits_for_the_next_event(site, token):
    end = appended()[0]
    with ThreadPoolExecutor(1) as threads:
        begun = time.monotonic()
        waiting = threads.submit(lambda: Stream(site, token, "application/json", f"/events?after={end}&wait=30"))
        time.sleep(1)  # it has begun to wait, or reads the page at once: both are right
        assert not waiting.done()
        position = appended()[0]
        with closing(waiting.result()) as answer:
            got = json.loads(answer.response.read())
        assert time.monotonic() - begun < 30
    assert [each["position"] for each in got["events"]] == [position]
    assert got["next"] == got["horizon"] == position


def test_a_page_that_waited_for_nothing_is_empty(site, token):
    end = appended()[0]
    with stream(site, token, "application/json", f"/events?after={end}&wait=1") as answer:
        assert answer.response.headers["Content-Type"] == "application/json"
        got = json.loads(answer.response.read())
    assert (got["events"], got["next"], got["horizon"]) == ([], end, end)


def test_lines_come_as_the_events_do(site, token):
    old = appended(3)
    with stream(site, token, "application/x-ndjson", f"/events?after={old[0]}") as lines:
        assert lines.response.headers["Content-Type"] == "application/x-ndjson"
        assert [each["position"] for each in lines.lines(2)] == old[1:]
        for _ in range(3):
            new = appended(2)
            assert [each["position"] for each in lines.lines(2)] == new


def test_what_is_not_wanted_does_not_come(site, token):
    end = appended()[0]
    with stream(site, token, "application/x-ndjson", f"/events?after={end}&types=order.expired") as lines:
        appended()
        (wanted,) = appended(type="order.expired")
        appended()
        assert [each["position"] for each in lines.lines(1)] == [wanted]


def test_server_sent_events_are_resumed_where_they_were_cut(site, token):
    old = appended(4)
    accept = "text/event-stream"
    with stream(site, token, accept, f"/events?after={old[0] - 1}") as events:
        assert events.response.headers["Content-Type"] == "text/event-stream"
        assert events.response.headers["X-Accel-Buffering"] == "no"
        first, second = events.event(), events.event()
    assert [int(each["id"]) for each in (first, second)] == old[:2]
    assert first["event"] == "order.confirmed"
    assert json.loads(first["data"])["position"] == old[0]
    with stream(site, token, accept, **{"Last-Event-ID": second["id"]}) as events:
        assert [int(events.event()["id"]) for _ in range(2)] == old[2:]


def test_who_follows_takes_neither_a_thread_nor_a_connection(site, token):
    """A hundred follow a site of two threads."""
    end = appended()[0]
    accept = "application/x-ndjson"
    process = [each for each in psutil.Process().children(recursive=True) if _serves(each, site)][-1]
    with closing(raw.connect("owner")) as watcher:
        followers = [Stream(site, token, accept, f"/events?after={end}") for _ in range(100)]
        try:
            threads, sessions = process.num_threads(), _sessions(watcher)
            assert threads < 60
            assert sessions < 20
            with stream(site, token, "application/json", "/events?limit=1") as other:
                assert other.response.status == 200
            position = appended()[0]
            for each in followers:
                assert [line["position"] for line in each.lines(1)] == [position]
            assert _sessions(watcher) <= sessions + 2
        finally:
            for each in followers:
                each.close()


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
def test_whoever_leaves_without_a_word_is_no_longer_read_for(site, token, accept):
    end = appended()[0]
    with closing(raw.connect("owner", autocommit=True)) as watcher:
        with stream(site, token, accept, f"/events?after={end}") as followed:
            assert followed.response.status == 200
            eventually(lambda: _reads_on(watcher))
        eventually(lambda: not _reads_on(watcher))


def test_a_site_that_is_to_stop_ends_all_streams(sites, token):
    end = appended()[0]
    with ExitStack() as opened:
        with sites() as site:
            streams = [
                opened.enter_context(stream(site, token, accept, f"/events?after={end}"))
                for accept in ("application/x-ndjson", "text/event-stream")
            ]
        # It has stopped; otherwise this was given up.
        for each in streams:
            each.response.read()
            assert each.response.isclosed()


def _serves(process, site):
    """Whether it listens there; others of the children come and go."""
    with suppress(psutil.NoSuchProcess):
        return any(each.laddr.port == urlsplit(site).port for each in process.net_connections())
    return False


def _sessions(watcher):
    row = watcher.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    watcher.rollback()
    return row[0]


def _reads_on(watcher):
    """Whether somebody asks how far the log is, again and again."""
    asked = set()
    for _ in range(3):
        last = """SELECT max(query_start) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%horizon%'"""
        asked.add(watcher.execute(last).fetchone())
        time.sleep(0.5)
    return len(asked) > 1


# the tail itself


def here():
    epoch = identity.epoch()
    assert epoch is not None
    return epoch


def following(call, *, after=0, most=100):
    """What somebody who follows gets to see, in an event loop of their own."""

    async def run(epoch):
        followed = Tail()
        with followed.following(epoch, after, Wanted(), most) as follower:
            return await call(follower)

    return asyncio.run(run(here()))


def test_all_is_told_once_however_little_is_kept(monkeypatch):
    """Who is slower than the tail reads pages of the log, and then the tail again."""
    monkeypatch.setattr(tail, "KEPT", 5)
    there = appended()

    async def call(follower):
        found: list[int] = []
        for number in (1, 7, 3, 12, 1):
            there.extend(await asyncio.to_thread(appended, number))
            await asyncio.sleep(0.2 if number > 5 else 0)  # more come than are kept, before anybody asks
            while not found or found[-1] < there[-1]:
                found += [each.position for each in await follower.more(10)]
        return found

    assert following(call, most=3) == there


def test_a_stream_says_that_it_is_alive_and_how_far_it_has_come(monkeypatch):
    monkeypatch.setattr(feed_calls, "HEARTBEAT", 0.2)
    end = appended(3)[-1]
    wanted = Wanted(types=frozenset({"order.expired"}))

    async def first(form):
        async with aclosing(feed_calls._streamed(form, epoch, 0, wanted)) as pieces:
            return b"".join([await anext(pieces) for _ in range(3)])

    epoch = here()
    assert asyncio.run(first(feed_calls.Lines())).count(b'{"next":%d,"horizon":%d}\n' % (end, end)) == 2
    assert asyncio.run(first(feed_calls.ServerSent())).count(b": at %d of %d\nid: %d\n\n" % (end, end, end)) == 2


def test_a_stream_of_another_log_ends():
    end = appended()[0]

    async def call(follower):
        await follower.more(0.1)
        follower._epoch = new_id()
        with pytest.raises(Interrupted):
            await follower.more(10)
        return True

    assert following(call, after=end)


def test_the_newest_are_no_longer_those_of_a_log_that_went_back():
    appended(3)
    newest = Newest.begun()
    grown = Newest(newest.epoch, newest.begin, newest.end + 10)
    assert (grown.grown().begin, grown.grown().end) == (newest.end, newest.end)


def test_nothing_is_read_once_nobody_follows():
    async def run():
        followed = Tail()
        with followed.following(epoch, 0, Wanted(), 10) as follower:
            await follower.more(5)
            assert followed._looking is not None
        for _ in range(600):
            if followed._looking is None:
                return True
            await asyncio.sleep(0.1)
        return False

    appended()
    epoch = here()
    assert asyncio.run(run())


def test_who_follows_later_may_do_so_in_another_loop():
    followed, epoch, end = Tail(), here(), appended()[0]

    async def wait():
        with followed.following(epoch, end, Wanted(), 10) as follower:
            with suppress(TimeoutError):
                await asyncio.wait_for(followed.grown.wait(), 0.01)
            return await follower.more(0.5)

    assert [list(asyncio.run(wait())) for _ in range(2)] == [[], []]
