"""Keys that PostgreSQL can't store or index: such a key is parked like any other, and stops nobody but itself."""

from datetime import date
from hashlib import sha256
from importlib import import_module

import pytest

from eventstore.models import DiscardedEvent, ParkedEvent
from eventstore.store import read_these
from eventstore.subscriptions import feeding, parking
from eventstore.subscriptions.queries import KEY_TEXT
from eventstore.subscriptions.retry import discard, failing_keys, retry_keys, retry_keys_later
from eventstore.subscriptions.subscriber import Mode
from eventstore.subscriptions.visibility import holds_back
from ordering.domain.customer import CustomerRenamed
from ordering.models import DailySales
from projections.projection import Projection, on
from projections.rebuild import builder, generations
from tests.integration.eventstore.probes import Probe, note, query, registered

pytestmark = pytest.mark.usefixtures("probe_tables")

DIGITS = "".join(sha256(bytes([number])).hexdigest() for number in range(150))
ODD = {"long": DIGITS[:9000], "nul": "a\0b", "half": "a\ud800b"}


class Odd(Probe):
    """Gives odd keys to events with the name of one, which it can't note before it is mended."""

    mended = False

    def keys(self, recorded):
        return [ODD.get(key, key) for key in super().keys(recorded)]

    def apply(self, cursor, work):
        for key, _ in work:
            if key in ODD.values() and not self.mended:
                cursor.execute("INSERT INTO eventstore_snapshot (stream_id) VALUES (%s)", [key])
        names = {key: name for name, key in ODD.items()}
        super().apply(cursor, [each._replace(key=names.get(each.key, each.key)) for each in work])


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("mode", Mode)
def test_it_is_parked_and_healed_while_others_go_on(mode, kind):
    with registered(Odd("odd", mode=mode), Probe("other", mode=mode)) as (odd, other):
        last = note("good", kind, "good", kind)
        feeding.catch_up([odd, other])
        assert other.noted() == {"good": [1, 3], kind: [2, 4]}
        assert odd.noted() == {"good": [1, 3]}
        assert odd.parked() == {parking.text(ODD[kind]): [-2, 4]}
        assert odd.row.checkpoint == last
        note(kind, "good")
        odd.feed()
        assert odd.parked() == {parking.text(ODD[kind]): [-2, 4, 5]}
        odd.mended = True
        retry_keys_later("odd", [ODD[kind]])
        assert failing_keys("odd", key=ODD[kind]) == [parking.text(ODD[kind])]
        assert retry_keys("odd", [ODD[kind]]).events == 3
        assert odd.noted(kind) == [2, 4, 5]
        assert odd.parked() == {}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_discarded_of_it_is_not_met_again(kind):
    with registered(Odd("odd", idempotent=True)) as odd:
        note(kind, kind)
        odd.feed()
        odd.mended = True
        discard("odd", ODD[kind], [1], reason="a test wants it", by="anna")
        assert odd.noted() == {kind: [2]}
        query("UPDATE eventstore_subscriber SET checkpoint = 0")
        odd.feed()
        assert odd.noted() == {kind: [2, 2]}


@pytest.mark.parametrize("kind", ODD)
def test_who_waits_for_its_event_waits(kind):
    with registered(Odd("odd")) as odd:
        note("good", kind)
        odd.feed()
        good, bad = read_these([1, 2])
        assert holds_back("odd", bad)
        assert not holds_back("odd", good)


class Rows(Projection[DailySales], name="odd-rows"):
    """A read model whose rows have such keys."""

    model = DailySales

    @on(CustomerRenamed, key=lambda event, meta: [ODD.get(key, key) for key in event.name.split()])
    def renamed(self, row, event, meta):
        row.day, row.currency = date(2030, 1, 1), "EUR"


@pytest.mark.parametrize("kind", ODD)
def test_the_row_of_a_read_model_is_parked_live_and_in_a_rebuild(kind):
    with registered(Rows()):
        last = note("good", kind, "good")
        feeding.catch_up([rows := Rows()])
        parked = ParkedEvent.objects.get(subscriber=rows.name)
        assert (parked.key, parked.position) == (parking.text(ODD[kind]), 2)
        assert list(DailySales.objects.values_list("key", "as_of")) == [("good", last)]
        discard(rows.name, ODD[kind], [2], reason="a test wants it", by="anna")
        note(kind)
        generation = builder.complete(generations.rebuild(rows.name))
        assert generation.status == "live"
        parked = ParkedEvent.objects.get(subscriber=rows.name)
        assert (parked.key, parked.position) == (parking.text(ODD[kind]), 4)
        assert list(DailySales.objects.values_list("key", "as_of")) == [("good", last)]


KEYS = ["", "key", "ä" * 1000, "ä" * 1001, "a" * 2000, "a" * 2001, DIGITS]


@pytest.mark.parametrize("key", KEYS, ids=len)
def test_the_text_of_a_key_is_the_same_in_sql_and_its_own_text(key):
    assert query(f"SELECT {KEY_TEXT.format(key='given.key')} FROM (SELECT %s::text AS key) AS given", key) == [
        (parking.text(key),)
    ]
    assert parking.text(parking.text(key)) == parking.text(key)


def test_a_long_key_that_was_parked_before_is_found_under_its_text():
    possible = [key for key in KEYS if key != DIGITS]
    for key in possible:
        ParkedEvent.objects.create(subscriber="probe", key=key, position=1)
        DiscardedEvent.objects.create(subscriber="probe", key=key, position=1)
    for operation in import_module("eventstore.migrations.0013_key_texts").Migration.operations:
        query(operation.sql)
    for model in (ParkedEvent, DiscardedEvent):
        assert set(model.objects.values_list("key", flat=True)) == set(map(parking.text, possible))
