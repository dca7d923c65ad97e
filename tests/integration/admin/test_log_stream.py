"""The page of a stream: its events, the state after each, and what each of them changed."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from eventstore import repository, store
from eventstore.browsing import stream
from eventstore.browsing.stream import Change, brief, differences, moment
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import Snapshot, StoredEvent
from eventstore.store import Changes
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import RenameConference
from ordering.domain.order import OrderConfirmed
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import text

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def viewer(staff):
    return staff("eventstore.view_storedevent")


@pytest.fixture
def order():
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    shop.pay(order, 2)
    bring_to_rest()
    return order


def page(stream_id):
    return f"/admin/eventstore/storedevent/streams/{stream_id}/"


def at(stream_id, version=None):
    """What is told of the stream, with the name of the conference that it is of."""
    found = moment(stream_id, version)
    assert found is not None
    return found.why or (found.state or {}).get("name")


def confirm(order, times):
    """Events that change nothing, so that the stream is long."""
    for _ in range(0, times, 100):
        version = store.version_of(order)
        events = [OrderConfirmed(order_id=order)] * min(100, times)
        store.append(Changes(stream_id=order, category="order", expected=version, events=events))


def test_the_state_is_that_after_any_version(client, viewer, order):
    states = {}
    for version in (1, 2, 3):
        shown = client.get(page(order), {"version": version}).context["moment"]
        assert (shown.version, shown.last) == (version, 3)
        states[version] = shown.state["status"]
    assert states == {1: "placed", 2: "placed", 3: "confirmed"}
    assert client.get(page(order)).context["moment"].version == 3
    assert client.get(page(order), {"version": 99}).context["moment"].version == 3
    assert client.get(page(order), {"version": "x"}).context["moment"].version == 3
    assert client.get(page(new_id())).status_code == 404


def test_each_event_tells_what_it_changed(client, viewer, order):
    shown = client.get(page(order))
    steps = {step.recorded.type: step.changes for step, _ in shown.context["steps"]}
    assert Change("status", "placed", "confirmed") in steps["order.confirmed"]
    assert text(shown).count("status: <del>placed</del> → <mark>confirmed</mark>") == 2
    assert {change.before for change in steps["order.placed"]} == {""}


def test_differences_go_into_tables_and_not_into_lists():
    before = {"a": 1, "t": {"x": 1, "y": [1]}, "gone": None}
    after = {"a": 1, "t": {"x": 2, "y": [1, 2], "z": {"new": True}}, "word": ""}
    assert list(differences(before, after)) == [
        Change("t.x", "1", "2"),
        Change("t.y", "[1]", "[1, 2]"),
        Change("t.z", "", '{"new": true}'),
        Change("gone", "null", ""),
        Change("word", "", '""'),
    ]


def test_without_a_script_the_form_shows_what_was_changed_in_it(client, viewer, order):
    def version(**asked):
        return client.get(page(order), asked).context["moment"].version

    assert version(version=2, number=3, shown=3) == 2
    assert version(version=3, number=1, shown=3) == 1
    part = client.get(page(order), {"version": 2, "part": 1})
    assert "The state after version 2" in text(part)
    assert "<html" not in text(part)


def test_a_long_stream_is_never_read_as_a_whole(client, viewer, order, monkeypatch):
    confirm(order, 300)
    shown = client.get(page(order), {"version": 140}).context["moment"]
    assert (shown.first, shown.upto, len(shown.steps), shown.last) == (126, 150, 25, 303)
    assert shown.state["status"] == "confirmed"
    monkeypatch.setattr(stream, "FOLDED", 100)
    refused = client.get(page(order), {"version": 140})
    assert "More than 100 events would have to be folded" in text(refused)
    assert len(refused.context["moment"].steps) == 25
    assert client.get(page(order), {"version": 90}).context["moment"].state


def test_of_a_large_state_only_the_asked_version_tells_what_changed(client, viewer, order, monkeypatch):
    monkeypatch.setattr(stream, "LARGE", 0)
    shown = client.get(page(order), {"version": 1})
    assert [bool(step.changes) for step, _ in shown.context["steps"]] == [True, False, False]
    assert "The state is large" in text(shown)
    assert shown.context["moment"].state["status"] == "placed"
    assert brief({"few": [1], "many": list(range(1_000))}) == {"few": [1], "many": "1,000 entries"}


def test_a_snapshot_shortens_the_way(client, viewer, monkeypatch):
    conference = shop.conference_on_sale()
    for number in range(2 * ConferenceSeats.snapshot_every):
        dispatch(RenameConference(conference_id=conference, name=f"PyCon {number}"))
    monkeypatch.setattr(stream, "FOLDED", 40)
    assert at(conference) == f"PyCon {number}"
    assert at(conference, 150) == "More than 40 events would have to be folded: that is not done here."
    Snapshot.objects.update(last_event_id=new_id())
    assert at(conference).startswith("More than 40 events")
    monkeypatch.undo()
    assert at(conference) == f"PyCon {number}"


def test_what_can_not_be_folded_is_said_and_the_rest_is_told(client, viewer, order, monkeypatch):
    monkeypatch.setattr(repository, "evolve", broken(repository.evolve, 2))
    shown = client.get(page(order), {"version": 3})
    assert "Version 2 can&#x27;t be folded: ValueError" in text(shown)
    assert [bool(step.changes) for step, _ in shown.context["steps"]] == [True, False, False]


def broken(evolve, version):
    def fails(aggregate, events, **options):
        if events[-1].version == version:
            raise ValueError
        return evolve(aggregate, events, **options)

    return fails


def test_a_page_takes_few_statements(client, viewer, order):
    confirm(order, 300)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(page(order), {"version": 140}).status_code == 200
    assert len(seen) <= 15


def test_events_and_lists_lead_to_the_stream(client, viewer, order):
    placed = StoredEvent.objects.get(type="order.placed")
    assert f"{page(order)}?version=1" in text(client.get(f"/admin/eventstore/storedevent/{placed.position}/change/"))
    assert f"{page(order)}?version=1" in text(client.get("/admin/eventstore/storedevent/"))


def test_who_may_not_see_the_log_sees_no_stream(client, staff, order):
    staff("eventstore.view_incident")
    assert client.get(page(order)).status_code == 403
