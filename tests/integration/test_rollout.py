"""While a release is rolled out, processes of the former one and of the new one are at work on one database.

The new release knows a command, an event, a schema of an event and an event of a side effect that the former one
doesn't: see `tests/rollout`. What that meets it leaves to the other.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eventstore.context import new_id
from eventstore.models import StoredEvent, SubscriberRow
from sagas.models import Delivery, OutboxCommand
from tests.crash import aftermath
from tests.integration.eventstore import probes
from tests.integration.http_client import V1, Http
from tests.integration.processes import Program, eventually, server, worker

pytestmark = pytest.mark.usefixtures("clean")

LETTER, LIGHT, HEAVY = 0, 1, 30
"""Kilograms."""

NOTICE, PACKING_LIST, POSTAGE = "parcel.notice", "parcel.packing-list", "parcel.postage"

NEW = {
    "commands": [("parcel.insure", "pending", 0, "UnknownCommand"), ("parcel.send-off", "pending", 0, "NewerSchema")],
    "deliveries": [
        *3 * [(NOTICE, "pending", 0, True)],
        *3 * [(PACKING_LIST, "pending", 0, True)],
        *3 * [(POSTAGE, "pending", 0, False)],
    ],
}
"""What old workers leave of a letter, a light and a heavy parcel that the new release packed, and of three that were
sent off.
"""


class Release(NamedTuple):
    """Starts processes of a release."""

    number: int
    notes: Path

    @property
    def environment(self) -> dict[str, Any]:
        settings = "tests.rollout.settings"
        return {"DJANGO_SETTINGS_MODULE": settings, "RELEASE": str(self.number), "NOTES": str(self.notes)}

    @contextmanager
    def worker(self) -> Iterator[Program]:
        with worker(beats=True, **self.environment) as started:
            yield started

    @contextmanager
    def site(self) -> Iterator[Http]:
        with server(**self.environment) as address:
            yield Http(address)


@pytest.fixture
def notes(tmp_path):
    with probes.tables():
        yield tmp_path / "notes"


def test_old_and_new_processes_run_side_by_side_and_all_is_done_once(notes):
    old, new = Release(1, notes), Release(2, notes)
    with old.site() as old_site:
        pack(old_site, LETTER, LIGHT, HEAVY)
        with new.site() as new_site:
            taken_over = versions()
            assert taken_over[NOTICE][0] == taken_over["shipping"][0] == 2
            with old.worker() as old_worker:
                eventually(lambda: Delivery.objects.filter(status="done").count() == 2 * 3, 60)
                eventually(lambda: number_of("parcel.sent-off") == 2, 60)
                assert versions() == taken_over
                letter, light, _ = pack(new_site, LETTER, LIGHT, HEAVY)
                assert send_off(new_site, letter).status == 201
                comes_to_be(left, NEW)
                for parcel in (letter, light):
                    is_unavailable(old_site.call("GET", f"{V1}/parcels/{parcel}"))
                    is_unavailable(send_off(old_site, parcel))
                before = due()
                eventually(lambda: all(now > then for then, now in zip(before, due(), strict=True)), 60, pause=0.1)
                assert left() == NEW
                assert row("parcels").checkpoint < StoredEvent.objects.get(stream_id=letter, version=1).position

                with new.worker() as new_worker:
                    for site in 3 * [old_site, new_site]:
                        pack(site, LIGHT, HEAVY)
                    # Old workers take calls for postage too, and leave them; then it is called for ever more seldom.
                    come_to_rest(sent_off=17, but=POSTAGE)
                    old_worker.kill()
                    pack(new_site, LIGHT, HEAVY)
                    come_to_rest(sent_off=19)
    all_was_done_once(notes)
    assert versions() == taken_over
    assert "Traceback" not in old_worker.output + new_worker.output


def pack(site, *kilograms):
    """Parcels of these weights."""
    parcels = [new_id() for _ in kilograms]
    for parcel_id, weight in zip(parcels, kilograms, strict=True):
        assert site.call("POST", f"{V1}/parcels/{parcel_id}", {"kilograms": weight}).status == 201
    return parcels


def send_off(site, parcel_id):
    return site.call("POST", f"{V1}/parcels/{parcel_id}/send-off", {})


def is_unavailable(response):
    """For somebody with newer code to answer."""
    assert (response.status, response.headers["Content-Type"]) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "2"
    assert json.loads(response.content)["detail"] == "This takes newer code than runs here."


def number_of(type_):
    return StoredEvent.objects.filter(type=type_).count()


def row(name):
    return SubscriberRow.objects.get(pk=name)


def versions():
    """The version and the set of events at which each subscriber stands."""
    return {row.name: (row.version, row.types_hash) for row in SubscriberRow.objects.all()}


def left():
    """What was not carried out, how often that was tried, and why not."""
    commands = OutboxCommand.objects.exclude(status="done").order_by("type")
    deliveries = Delivery.objects.exclude(status="done").order_by("effect", "position")
    return {
        "commands": [(row.type, row.status, row.attempts, row.error.partition(":")[0]) for row in commands],
        "deliveries": [
            (row.effect, row.status, row.attempts, "can't read this event" in row.error) for row in deliveries
        ],
    }


def comes_to_be(asked, answer):
    """Fails with the difference."""
    with suppress(AssertionError):
        eventually(lambda: asked() == answer, 60, pause=0.1)
    assert asked() == answer


def due():
    """When each is tried next that the old worker has tried."""
    commands = OutboxCommand.objects.exclude(status="done").order_by("id")
    deliveries = Delivery.objects.exclude(status="done").exclude(effect=POSTAGE).order_by("id")
    return [*commands.values_list("due_at", flat=True), *deliveries.values_list("due_at", flat=True)]


def come_to_rest(sent_off, but="nothing"):
    """When so many parcels are sent off, and nothing is left to do `but` what concerns one side effect."""

    def unrest():
        return [trouble for trouble in aftermath.unrest() if but not in trouble]

    try:
        eventually(lambda: number_of("parcel.sent-off") == sent_off and not unrest(), 90, pause=0.2)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *unrest()])) from None


def all_was_done_once(notes):
    """Each parcel is packed, insured if it is heavy, and sent off, which everybody has heard of once."""
    events = StoredEvent.objects.filter(category="parcel")
    assert set(Counter((event.stream_id, event.type) for event in events).values()) == {1}
    types = Counter(event.type for event in events)
    assert types == {"parcel.packed": 20, "parcel.sent-off": 19, "parcel.insured": 8}
    assert list(aftermath.done_otherwise_than_once()) == []
    assert set(OutboxCommand.objects.values_list("status", "attempts")) == {("done", 1)}
    assert set(Delivery.objects.values_list("status", "attempts")) == {("done", 1)}
    acts = Counter(tuple(line.split()) for line in notes.read_text().splitlines())
    assert set(acts.values()) == {1}
    assert Counter(effect for effect, _ in acts) == {PACKING_LIST: 20, POSTAGE: 17, NOTICE: 3 + 19}
    read = [position for positions in probes.Probe("parcels").noted().values() for position in positions]
    assert sorted(read) == [event.position for event in events.exclude(type="parcel.insured").order_by("position")]
