"""`manage.py events`, as a person at a terminal and a script use it."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.core.management import CommandError, call_command

from eventstore import codec, store
from eventstore.event_types import examples
from eventstore.events import catalogue
from eventstore.models import StoredEvent
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.processes import BASE_DIR
from tests.integration.test_projections_command import Terminal

pytestmark = pytest.mark.usefixtures("clean")

SECRET = "ada@example.org"


def run(*arguments):
    """What it says, and what it ends with where that is an error."""
    out, failed = StringIO(), ""
    try:
        call_command("events", *map(str, arguments), stdout=out)
    except CommandError as error:
        failed = str(error)
    return out.getvalue(), failed


def answer(*arguments):
    out, failed = run(*arguments, "--json")
    return json.loads(out), failed


def append(**columns):
    with closing(raw.connect()) as connection, connection:
        return raw.append(connection, **columns)


@pytest.fixture
def spoilt():
    """A log in which five events can't be read, and why: by their positions."""
    shop.order(shop.customer("Ada"), shop.conference_on_sale())
    return {
        append(type="order.sung", data={"by": SECRET}): "unknown-event",
        append(schema_version=2): "newer-schema",
        append(data={"order_id": SECRET}): "unreadable-event",
        append(category="customer"): "unhandled-event",
        append(type="conference.scheduled", data={"starts_at": SECRET}): "unreadable-event",
    }


def test_the_catalogue_lists_every_event_with_who_records_and_who_wants_it():
    shown, _ = run("catalogue")
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert {event.stored for event in catalogue} <= lines.keys()
    assert "aggregate order" in lines["order.confirmed"]
    assert "effect mail.order-confirmation" in lines["order.confirmed"]
    assert "effect mail.welcome" in lines["mail.sent"]
    assert "saga sale" in lines["saga.command-refused"]


def test_an_event_that_is_named_is_told_with_its_fields_and_versions():
    shown, _ = run("catalogue", "order.placed")
    assert "It is to be paid until `expires_at`" in shown
    assert "list of PricedLine" in shown
    assert "from version 1: Version 1 is from before conferences had payment terms" in shown
    assert "version 3, stored: {" in shown
    assert "order.confirmed" not in shown
    assert answer("catalogue", "order.sung")[0]["error"] == "refused"
    assert run("catalogue", "order.placed", "--schema")[1]


def test_the_catalogue_as_json_tells_the_same_to_programs():
    (placed,) = (each for each in answer("catalogue")[0] if each["name"] == "order.placed")
    assert (placed["version"], placed["channel"]) == (3, "order")
    assert ["grace", "whole number", False, ""] in placed["fields"]
    assert [number for number, _, stored in placed["versions"] if stored] == [1, 2, 3]
    assert ["saga", "sale"] in placed["wanted_by"]


def test_the_json_schema_takes_what_is_stored_and_refuses_what_is_not():
    schema = json.loads(run("catalogue", "--schema")[0])
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    stored = [
        {"type": each.type, "schema_version": each.version, "data": each.data}
        for each in examples.read() or ()
        if each.version == catalogue[each.type].schema
    ]
    assert len(stored) > 60
    assert [each["type"] for each in stored if not judge.is_valid(each)] == []
    assert not any(judge.is_valid({**each, "data": {}}) for each in stored)
    assert not any(judge.is_valid({**each, "schema_version": 9}) for each in stored)


def test_the_asyncapi_document_has_every_event_in_the_channel_of_its_streams():
    document = json.loads(run("catalogue", "--asyncapi")[0])
    assert document["asyncapi"] == "3.0.0"
    assert document["info"].keys() == {"title", "version"}
    names = {event.stored for event in catalogue}
    assert document["components"]["messages"].keys() == names
    in_channels = [name for channel in document["channels"].values() for name in channel["messages"]]
    assert sorted(in_channels) == sorted(names)
    assert "order.placed" in document["channels"]["order"]["messages"]
    wanted = {"$ref": "#/channels/order/messages/order.placed"}
    operations = document["operations"]
    assert (operations["record-order"]["action"], operations["saga-sale-order"]["action"]) == ("send", "receive")
    assert wanted in operations["record-order"]["messages"]
    assert wanted in operations["saga-sale-order"]["messages"]
    assert wanted not in operations["effect-mail.order-confirmation-order"]["messages"]
    for reference in references(document):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    (example,) = document["components"]["messages"]["order.confirmed"]["examples"]
    assert example["payload"].keys() == {"order_id"}


def references(part):
    """Every reference within a document."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        yield from references(each)


def test_the_page_in_the_docs_is_what_the_code_says():
    assert run("catalogue", "--markdown")[0] == (BASE_DIR / "docs" / "events.md").read_text()


def test_a_file_of_examples_that_can_not_be_read_is_named(settings, tmp_path):
    settings.EVENTSTORE_EXAMPLES = tmp_path / "examples.json"
    assert [stored for _, _, stored in answer("catalogue", "order.placed")[0][0]["versions"]] == [[], [], []]
    settings.EVENTSTORE_EXAMPLES.write_text("<<<<<<<")
    assert answer("catalogue")[0]["error"] == "unreadable-file"


def test_a_log_that_can_be_read_is_said_to_be():
    shop.order(shop.customer("Ada"), shop.conference_on_sale())
    assert run("verify") == (
        f"{StoredEvent.objects.count():,} events up to position {store.horizon():,}: all of them can be read.\n",
        "",
    )
    found, failed = answer("verify")
    assert (found["read"], found["unreadable"], found["events"], failed) == (StoredEvent.objects.count(), 0, [], "")


def test_an_empty_log_can_be_read():
    assert run("verify") == ("0 events up to position 0: all of them can be read.\n", "")


def test_what_can_not_be_read_is_listed_with_the_kind_of_error_and_without_values(spoilt):
    found, failed = answer("verify")
    assert {each["position"]: each["error"] for each in found["events"]} == spoilt
    assert f"{len(spoilt)} of {found['read']:,} events" in failed
    assert (found["unreadable"], found["upto"]) == (len(spoilt), store.horizon())
    row = StoredEvent.objects.get(pk=found["events"][0]["position"])
    assert found["events"][0] | {"detail": ""} == {
        "position": row.position,
        "type": "order.sung",
        "schema_version": 1,
        "stream_id": str(row.stream_id),
        "version": 1,
        "error": "unknown-event",
        "detail": "",
    }
    told, _ = run("verify")
    assert "`$.order_id`" in told
    assert SECRET not in told + failed + json.dumps(found)


def test_reading_begins_where_it_is_asked_to(spoilt):
    first, *_, last = spoilt
    found, _ = answer("verify", "--since", last)
    assert (found["read"], [each["position"] for each in found["events"]]) == (1, [last])
    found, _ = answer("verify", "--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert (found["read"], found["unreadable"]) == (0, 0)
    found, _ = answer("verify", "--since", (datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert (found["read"], found["unreadable"]) == (StoredEvent.objects.count(), len(spoilt))
    assert answer("verify", "--since", "yesterday")[0]["error"] == "refused"
    assert first in {each["position"] for each in answer("verify")[0]["events"]}


def test_all_are_counted_and_as_many_listed_as_are_asked_for(spoilt):
    found, failed = answer("verify", "--limit", "2")
    assert ([each["position"] for each in found["events"]], found["unreadable"]) == (list(spoilt)[:2], len(spoilt))
    assert "the first 2 are shown" in failed
    assert answer("verify", "--limit", "0")[0]["error"] == "refused"


def test_an_upcaster_that_fails_is_named_whatever_it_raises(spoilt, monkeypatch):
    def upside_down(data):
        return data.nothing

    monkeypatch.setitem(codec._upcasters, ("conference.scheduled", 1), upside_down)
    found, _ = answer("verify")
    assert found["events"][-1]["error"] == "AttributeError"
    assert "upside_down" in found["events"][-1]["detail"]


def test_a_terminal_shows_how_far_it_is(spoilt):
    with closing(Terminal("verify", command="events")) as terminal:
        assert terminal.ends() == 1
        assert terminal.shows("reading")
        assert terminal.shows(f"{store.horizon()}/{store.horizon()}")
        assert terminal.shows("order.sung")


def test_what_an_open_transaction_may_still_bring_is_not_read_yet():
    append()
    with closing(raw.connect()) as connection:
        raw.append(connection)
        append()
        assert answer("verify")[0]["read"] == 1
