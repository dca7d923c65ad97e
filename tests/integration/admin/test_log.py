"""The list of events: found by what they are, when they were and what is in them, without reading the whole log."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from eventstore import store
from eventstore.browsing import queries, search
from eventstore.browsing.chain import around
from eventstore.browsing.search import LOOKED, NoDataTerm, Search, data_path, find
from eventstore.commands import dispatch
from eventstore.context import acting, new_id
from eventstore.models import StoredEvent
from ordering.domain.customer import RegisterCustomer
from tests.integration import shop
from tests.integration.admin.reading import text

pytestmark = pytest.mark.usefixtures("clean")

LOG, TAIL = "/admin/eventstore/storedevent/", "/admin/eventstore/storedevent/tail/"

FILL = """INSERT INTO eventstore_event (stream_id, category, version, type, schema_version, data, event_id,
        correlation_id, actor, metadata, recorded_at)
    SELECT md5((n / 5)::text)::uuid, 'order', n % 5 + 1,
        CASE WHEN n % 50 = 0 THEN 'order.placed' ELSE 'order.confirmed' END, 1,
        jsonb_build_object('order_id', md5((n / 5)::text)::uuid, 'n', n, 'lines', jsonb_build_array('A' || n)),
        md5(n || 'e')::uuid, md5((n / 10)::text || 'c')::uuid,
        CASE WHEN n % 1000 = 0 THEN 'staff:7' ELSE 'system' END, '{}',
        '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second'
    FROM generate_series(5, 100004) AS n"""


@pytest.fixture
def viewer(staff):
    return staff("eventstore.view_storedevent")


@pytest.fixture
def long_log():
    """100,000 events, one a second."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE eventstore_event")


@pytest.fixture
def data_index(long_log):
    call_command("events", "index-data", stdout=StringIO())
    yield
    call_command("events", "index-data", "--drop", stdout=StringIO())


def listed(client, **asked):
    return client.get(LOG, asked).context["cl"]


def found(client, **asked):
    return [each.position for each in listed(client, **asked).result_list]


def searched(client, **asked):
    (told,) = re.findall(r'id="log-searched">(.*?)</p>', text(client.get(LOG, asked)))
    return re.sub(r"<.*?>", "", told).strip()


def test_filters_combine(client, viewer):
    ada, conference = shop.customer(), shop.conference_on_sale()
    with acting(actor=f"staff:{viewer.pk}", correlation_id=(chain := new_id())):
        order = shop.order(ada, conference)
    placed = StoredEvent.objects.get(type="order.placed")
    assert found(client, type="order.placed") == [placed.position]
    assert found(client, type="order.placed", of="customer") == []
    assert (
        found(client, stream_id=order, of="order", actor=viewer.username, correlation_id=chain)[-1] == placed.position
    )
    assert found(client, q=order) == found(client, stream_id=order)
    assert found(client, q=placed.position) == found(client, q=f"{placed.position:,}") == [placed.position]
    assert found(client, content=f"order_id={order}", type="order.placed") == [placed.position]
    assert found(client, actor="nobody") == found(client, content="order_id=x") == found(client, q="x") == []
    assert placed.position in found(client, since=placed.recorded_at - timedelta(minutes=1))
    assert found(client, until=placed.recorded_at - timedelta(hours=1)) == []


def test_what_is_in_the_data_is_found_as_text_as_a_number_and_in_lists():
    assert data_path("a.b = x y") == '$."a"."b" ? (@ == "x y")'
    assert data_path("n=7") == '$."n" ? (@ == "7" || @ == 7)'
    assert data_path('a="') == r'$."a" ? (@ == "\"")'
    with pytest.raises(NoDataTerm):
        data_path("just a word")


def test_a_filter_that_means_nothing_says_so_and_filters_nothing(client, viewer):
    shop.customer()
    page = client.get(LOG, {"content": "word", "type": "order.sung", "since": "soon", "correlation_id": "x"})
    assert page.context["cl"].result_list
    assert sorted(page.context["form"].errors) == ["content", "correlation_id", "since", "type"]
    assert client.get(LOG, {"actor": "\0"}).status_code == 200
    assert client.get(LOG, {"anything": "else"}).url == f"{LOG}?e=1"
    assert client.get(LOG, {"position__lt": "x"}).url == f"{LOG}?e=1"


@pytest.mark.parametrize(
    ("term", "found"), [("2", [2]), ("2-3", [3, 2]), ("2 - 3", [3, 2]), ("3-2", []), ("9,999", []), ("2-x", [])]
)
def test_events_are_found_by_a_position_or_by_several(client, viewer, term, found):
    shop.order(shop.customer(), shop.conference_on_sale())
    first = StoredEvent.objects.order_by("position")[0].position
    asked = re.sub(r"\d+", lambda each: str(int(each[0]) + first - 1), term) if found else term
    rows = client.get(LOG, {"q": asked}).context["cl"].result_list
    assert [each.position - first + 1 for each in rows] == found


def test_a_time_is_a_position_to_the_moment(long_log):
    first = StoredEvent.objects.order_by("position")[0]
    last = StoredEvent.objects.order_by("-position")[0]
    for n in (5, 6, 777, 50_000, 100_004):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n)
        assert store.position_at(at) == first.position + n - 6 if n > 5 else store.position_at(at) == 0
        assert store.position_at(at + timedelta(milliseconds=1)) == first.position + n - 5
    assert store.position_at(datetime(2030, 1, 1, tzinfo=UTC)) == last.position


def test_positions_that_are_missing_do_not_matter_to_a_time(clean):
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT nextval('eventstore_event_position_seq') FROM generate_series(1, 500)")
    shop.customer()
    event = StoredEvent.objects.order_by("position")[0]
    assert store.position_at(event.recorded_at) == 0
    assert store.position_at(event.recorded_at + timedelta(microseconds=1)) == event.position


SEARCHES = {
    "everything": Search(),
    "type": Search(types=["order.placed"]),
    "types": Search(types=["order.placed", "order.confirmed", "order.cancelled"]),
    "stream": Search(stream_id=new_id()),
    "correlation": Search(correlation_id=new_id()),
    "actor": Search(actors=["staff:8"]),
    "data": Search(data=data_path("n=-1")),
    "all of it": Search(
        types=["order.placed"], stream_id=new_id(), correlation_id=new_id(), actors=["x"], data=data_path("n=-1")
    ),
}


def plans(asked):
    """The plans of all that a search asks."""
    return plans_of(lambda: find(asked, 25))


def plans_of(reading):
    told = []
    with CaptureQueriesContext(connection) as seen:
        reading()
    with connection.cursor() as cursor:
        for each in seen:
            if "eventstore_event" in each["sql"] and "pg_index" not in each["sql"]:
                cursor.execute(f"EXPLAIN {each['sql']}")
                told.append("\n".join(line for (line,) in cursor.fetchall()))
    return told


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_is_by_an_index_and_sorts_no_long_list(long_log, name):
    for plan in plans(SEARCHES[name]):
        assert "Seq Scan" not in plan, plan
        assert "Index" in plan, plan
        led = plan[plan.index("Limit", 1) if plan.count("Limit") > 1 else 0 :]
        assert "Sort Key: eventstore_event.position" not in led, plan


def test_the_chain_of_an_event_is_found_by_the_index_of_correlations(long_log):
    event = store.read_one(StoredEvent.objects.latest("position").position - 50_000)
    (plan,) = plans_of(lambda: around(event))
    assert plan.count("eventstore_event_correlation") == 2, plan
    assert "Seq Scan" not in plan, plan


def test_the_index_of_data_is_used_where_it_is_made(data_index):
    rare = Search(data=data_path("n=77"))
    assert any("eventstore_event_data" in plan for plan in plans(rare))
    asked = find(rare, 25)
    assert (len(asked.positions), asked.more, asked.by_index, asked.lowest) == (1, False, True, None)
    newest = StoredEvent.objects.latest("position").position
    assert find(Search(data=data_path("lines=A100004")), 25).positions == [newest]
    assert find(Search(data=data_path("lines=A9"), types=["order.placed"]), 25).positions == []


def test_an_index_that_is_too_slow_is_not_waited_for(data_index, monkeypatch):
    monkeypatch.setattr(search, "PATIENCE", 0.001)
    monkeypatch.setattr(queries, "BY_DATA", queries.BY_DATA.replace("WITH", "SELECT pg_sleep(1); WITH"))
    asked = find(Search(data=data_path("n=77")), 25)
    assert (asked.positions, asked.by_index, asked.looked) == ([], False, LOOKED)


def test_without_an_index_so_many_events_are_looked_at_and_the_page_says_so(client, viewer, long_log):
    newest = StoredEvent.objects.latest("position").position
    page = listed(client, content="n=77")
    assert page.result_list == []
    assert (page.found.looked, page.found.lowest, page.next_words) == (LOOKED, newest - LOOKED + 1, "Look further back")
    told = searched(client, content="n=77")
    assert told.startswith(f"Looked at 10,000 events, back to position {newest - LOOKED + 1:,}: none of them is so.")
    assert "There is no index of the data; manage.py events index-data makes one." in told
    further = client.get(LOG + page.older).context["cl"]
    assert further.found.lowest == newest - 2 * LOOKED + 1
    assert len(found(client, actor="staff:7")) == 10


def test_the_rest_of_the_filter_leaves_few_enough_to_look_at_all(client, viewer, long_log):
    assert searched(client, type="order.placed", content="n=-1") == (
        "Looked at all 2,000 events that the rest of the filter leaves: none of them is so."
    )
    assert searched(client, type="order.cancelled").startswith("The whole log was searched by its indexes")


def test_an_empty_log_says_that_nothing_has_happened(client, viewer):
    assert searched(client) == "Nothing has happened yet: the log is empty."


def test_a_page_takes_few_statements_whatever_it_is_filtered_by(client, viewer, data_index):
    asked = {
        "type": "order.placed", "of": "order", "actor": "staff:7", "content": "n=77", "since": "2026-01-01T00:00:00",
        "until": "2026-01-01T20:00:00",
    }  # fmt: skip
    for each in ({}, {"position__lt": 5000}, asked, {"content": "n=77"}):
        with CaptureQueriesContext(connection) as seen:
            assert client.get(LOG, each).status_code == 200
        assert len(seen) <= 15, [query["sql"] for query in seen]
        assert not [query for query in seen if "COUNT(*)" in query["sql"]]


def test_the_tail_tells_what_was_committed_since_and_no_more(client, viewer):
    first = shop.customer()
    shown = client.get(LOG)
    after = store.horizon()
    assert f"after={after}" in shown.context["cl"].tail
    assert "<tr" not in client.get(TAIL, {"after": after}).content.decode()
    second = shop.customer()
    page = client.get(TAIL, {"after": after})
    assert str(second) in text(page)
    assert str(first) not in text(page)
    assert f'data-upto="{store.horizon()}"' in text(page)
    assert str(second) not in text(client.get(TAIL, {"after": after, "type": "order.placed"}))


def test_the_tail_does_not_go_past_an_append_that_is_not_committed(client, viewer):
    shop.customer()
    after = store.horizon()
    late = connections["default"].copy()
    try:
        late.set_autocommit(False)
        with late.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared((20037::bigint << 48) | %s)", [after])
        shop.customer()
        page = client.get(TAIL, {"after": after})
        assert "<tr" not in text(page)
        assert f'data-upto="{after}"' in text(page)
        late.rollback()
    finally:
        late.close()
    assert "<tr" in text(client.get(TAIL, {"after": after}))


def test_the_tail_asks_one_statement_of_the_log_while_nothing_comes(client, viewer):
    shop.customer()
    with CaptureQueriesContext(connection) as seen:
        client.get(TAIL, {"after": store.horizon()})
    assert len(seen) <= 5
    assert not [query for query in seen if "FROM eventstore_event" in query["sql"]]


def test_only_the_first_page_is_live(client, viewer):
    for _ in range(30):
        dispatch(RegisterCustomer(customer_id=new_id(), name="Ada", email=f"{new_id()}@example.com"))
    newest = listed(client)
    assert newest.tail
    assert not client.get(LOG + newest.older).context["cl"].tail
    assert not listed(client, until="2026-01-01T00:00:00").tail


def test_who_may_not_see_the_log_sees_none_of_it(client, staff):
    staff("eventstore.view_incident")
    assert client.get(LOG).status_code == client.get(TAIL, {"after": 0}).status_code == 403
    client.logout()
    assert "HX-Refresh" in client.get(TAIL, {"after": 0}).headers
