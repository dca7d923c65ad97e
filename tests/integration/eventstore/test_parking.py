"""What becomes of an event that can't be applied: it is parked under its key, and everything else goes on."""

from contextlib import closing

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test import override_settings

from eventstore.context import new_id
from eventstore.events import catalogue
from eventstore.models import HandlerWarning, ParkedEvent, StoredEvent
from eventstore.monitoring.status import subscriber_statuses
from eventstore.subscriptions import feeding
from eventstore.subscriptions.pace import TRIES
from eventstore.subscriptions.retry import retry_due, retry_keys
from eventstore.subscriptions.subscriber import Mode
from eventstore.transient_errors import WAITS, is_lost
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import (
    TYPE,
    Probe,
    go_wrong,
    is_wrong,
    mend,
    note,
    query,
    registered,
)

pytestmark = pytest.mark.usefixtures("probe_tables")

INFRASTRUCTURE = {
    "a deadlock": "40P01",
    "a serialization failure": "40001",
    "a lock timeout": "55P03",
    "a statement timeout": "57014",
    "a full disk": "53100",
    "a table that isn't there": "42P01",
}


def failing_with(sqlstate):
    return f"DO $$ BEGIN RAISE EXCEPTION 'as a test wants it' USING ERRCODE = '{sqlstate}'; END $$"


@pytest.mark.parametrize("mode", Mode)
def test_others_go_on_and_later_events_of_the_key_wait_in_order(mode):
    with registered(Probe(mode=mode)) as probe:
        go_wrong("bad@2")
        last = note("good", "bad", "good", "bad", "good", "bad")
        probe.feed()
        assert probe.noted() == {"good": [1, 3, 5]}
        assert probe.parked() == {"bad": [-2, 4, 6]}
        assert probe.row.checkpoint == last
        mend("bad@2")
        note("bad")
        probe.feed()
        assert probe.parked() == {"bad": [-2, 4, 6, 7]}


def test_what_came_before_the_bad_event_of_a_key_is_applied_though_it_was_in_the_same_batch(one):
    go_wrong("bad@2")
    note("bad", "bad", "bad")
    one.feed()
    assert one.noted() == {"bad": [1]}
    assert one.parked() == {"bad": [-2, 3]}


def test_each_of_several_keys_of_an_event_parks_by_itself(one):
    go_wrong("b")
    note("a b c", "b c", "a")
    one.feed()
    assert one.noted() == {"a": [1, 3], "c": [1, 2]}
    assert one.parked() == {"b": [-1, 2]}


def test_a_key_that_an_event_names_twice_is_one_key(one):
    note("a a")
    one.feed()
    assert one.noted() == {"a": [1]}


def test_an_event_whose_key_cannot_be_told_holds_back_its_stream_only(one):
    note("a", "?", "a", stream=(held := new_id()))
    go_wrong("?")
    note("a")
    one.feed()
    assert one.noted() == {"a": [1, 4]}
    assert one.parked() == {f"stream {held}": [-2, 3]}
    mend("?")
    assert retry_keys("probe", [f"stream {held}"]).keys == 1
    assert one.noted() == {"a": [1, 4, 3], "?": [2]}
    assert one.parked() == {}


def test_a_held_back_event_queues_where_its_key_is_parked(one):
    go_wrong("?", "a@2")
    note("? a", stream=(held := new_id()))
    note("a")
    one.feed()
    assert one.parked() == {f"stream {held}": [-1], "a": [-2]}
    mend("?")
    retry_keys("probe", [f"stream {held}"])
    assert one.parked() == {"a": [1, -2]}
    assert one.noted() == {"?": [1]}
    mend("a@2")
    retry_keys("probe", ["a"])
    assert one.noted("a") == [1, 2]


class Lazy(Probe):
    """Names its keys one by one, and stumbles on the way."""

    def keys(self, recorded):
        yield "a"
        raise KeyError("the second key")


def test_keys_that_fail_while_they_are_named_hold_back_their_stream_and_no_other_subscriber(one):
    with registered(Lazy("lazy")) as lazy:
        note("a")
        feeding.catch_up([one, lazy])
        assert one.noted() == {"a": [1]}
        assert lazy.noted() == {}
        assert [list(positions) for positions in lazy.parked().values()] == [[-1]]


@pytest.mark.parametrize("sqlstate", INFRASTRUCTURE.values(), ids=INFRASTRUCTURE)
@pytest.mark.parametrize("mode", Mode)
def test_nothing_is_parked_for(mode, sqlstate):
    with registered(Probe(mode=mode)) as probe:
        go_wrong("a", statement=failing_with(sqlstate))
        note("b", "a", "b")
        probe.feed()
        assert (probe.parked(), probe.noted(), probe.row.checkpoint) == ({}, {}, 0)
        assert probe.row.failures == (0 if sqlstate in WAITS else 1)
        mend("a")
        query("UPDATE eventstore_subscriber SET retry_at = NULL")
        probe.feed()
        assert probe.noted() == {"b": [1, 3], "a": [2]}


@pytest.mark.parametrize("mode", Mode)
def test_who_finds_its_table_locked_waits_however_long_and_never_halts_while_others_go_on(mode):
    with registered(Probe(mode=mode), Probe("other", mode=mode)) as (one, other):
        go_wrong("a", statement="SELECT 1 FROM eventstore_snapshot")
        note("a")
        query("UPDATE eventstore_subscriber SET checkpoint = 1 WHERE name = 'other'")
        with closing(raw.connect("owner")) as holder:
            holder.execute("LOCK TABLE eventstore_snapshot")
            for _ in range(TRIES + 1):
                last = note("b")
                assert feeding.feed([one, other]).moved
                assert (one.row.status, one.row.failures, one.row.checkpoint) == ("running", 0, 0)
                assert "LockNotAvailable" in one.row.last_error
                assert one.row.retry_at > one.row.last_error_at
                assert other.row.checkpoint == last
                query("UPDATE eventstore_subscriber SET retry_at = NULL")
            with override_settings(EVENTSTORE_STALLED_AFTER_SECONDS=0):
                (status,) = [status for status in subscriber_statuses() if status.name == "probe"]
                assert [issue.kind for issue in status.health_issues()] == ["stalled"]
        one.feed()
        assert (one.row.checkpoint, one.noted("a"), one.parked()) == (last, [1], {})


def test_a_session_that_the_server_ends_is_a_lost_connection_and_nobodys_failure(one):
    with registered(Probe("other")) as other:
        go_wrong("a", statement="SELECT pg_terminate_backend(pg_backend_pid())")
        note("b", "a")
        with pytest.raises(psycopg.Error) as ended:
            feeding.feed([other, one])
        assert is_lost(ended.value)
        connection.close()
        for probe in (one, other):
            assert (probe.row.failures, probe.row.checkpoint, probe.parked()) == (0, 0, {})


class Exhausted(Probe):
    """Runs out of something, in a handler or while keys are named, where it is told to."""

    def __init__(self, error, place, **options):
        super().__init__("exhausted", **options)
        self.error, self.place = error, place

    def keys(self, recorded):
        keys = super().keys(recorded)
        if self.place == "keys" and "a" in keys and is_wrong("a"):
            raise self.error
        return keys

    def apply(self, cursor, work):
        if self.place == "apply" and "a" in [key for key, _ in work] and is_wrong("a"):
            raise self.error
        super().apply(cursor, work)


@pytest.mark.parametrize("place", ["keys", "apply"])
@pytest.mark.parametrize("error", [SoftTimeLimitExceeded(), MemoryError()], ids=["time limit", "memory"])
@pytest.mark.parametrize("mode", Mode)
def test_who_runs_out_of_time_or_memory_parks_nothing_while_others_go_on(mode, error, place):
    with registered(Exhausted(error, place, mode=mode), Probe(mode=mode)) as (exhausted, one):
        go_wrong("a", statement="SELECT")
        note("b", "a", "b")
        feeding.catch_up([exhausted, one])
        assert one.noted() == {"b": [1, 3], "a": [2]}
        assert (exhausted.parked(), exhausted.noted(), exhausted.row.checkpoint) == ({}, {}, 0)
        assert exhausted.row.failures == 1
        assert exhausted.row.last_error.startswith(type(error).__name__)


@pytest.mark.parametrize("error", [SoftTimeLimitExceeded(), MemoryError()], ids=["time limit", "memory"])
def test_a_retry_that_runs_out_of_time_or_memory_counts_as_no_attempt(error):
    with registered(Exhausted(ValueError(), "apply", mode=Mode.ASYNC)) as exhausted:
        go_wrong("a", statement="SELECT")
        note("a")
        exhausted.feed()
        exhausted.error = error
        query("UPDATE eventstore_parked SET retry_at = clock_timestamp()")
        assert retry_due([exhausted])
        parked = ParkedEvent.objects.get()
        assert (parked.attempts, parked.error.partition(" ")[0]) == (1, "ValueError")
        assert parked.retry_at is not None


def test_too_deep_a_recursion_is_the_events(one):
    with registered(Exhausted(RecursionError(), "apply")) as exhausted:
        go_wrong("a", statement="SELECT")
        note("b", "a")
        exhausted.feed()
        assert exhausted.parked() == {"a": [-2]}


@pytest.fixture
def unparkable():
    """What the subscriber `probe` fails on can't be parked, for a reason that is not the infrastructure's."""
    _owner(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not this' USING ERRCODE = 'data_exception'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON eventstore_parked FOR EACH ROW WHEN (NEW.subscriber = 'probe')"
        " EXECUTE FUNCTION refuse()"
    )
    yield
    _owner("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize("mode", Mode)
def test_whose_event_cannot_be_parked_is_left_out_and_halts_in_the_end_while_others_go_on(mode, unparkable):
    with registered(Probe(mode=mode), Probe("other", mode=mode)) as (one, other):
        note("a")
        feeding.catch_up([one, other])
        go_wrong("b")
        note("a", "b")
        for failures in range(1, TRIES + 1):
            last = note("a")
            assert feeding.feed([one, other]).moved
            assert (one.row.failures, one.row.checkpoint, other.row.checkpoint) == (failures, 1, last)
            assert other.parked() == {"b": [-3]}
            assert one.row.last_error
            assert one.row.retry_at > one.row.last_error_at
            query("UPDATE eventstore_subscriber SET retry_at = NULL")
        assert (one.row.status, other.row.status) == ("halted", "running")
        assert one.noted() == {"a": [1]}


class Unspeakable:
    """A key without a text."""

    def __str__(self):
        raise LookupError


class Speechless(Probe):
    """Has such keys where it is told to."""

    def keys(self, recorded):
        return [Unspeakable() if key == "unspeakable" else key for key in super().keys(recorded)]


def test_who_has_a_key_without_a_text_is_left_out_while_others_go_on(one):
    with registered(Speechless("speechless")) as speechless:
        note("a", "unspeakable")
        feeding.catch_up([one, speechless])
        assert one.noted() == {"a": [1], "unspeakable": [2]}
        assert (speechless.row.failures, speechless.row.checkpoint) == (1, 0)
        assert speechless.row.last_error.startswith("LookupError in __str__")


def test_a_deferred_constraint_that_fails_at_the_end_parks_its_key_only(one):
    _owner("ALTER TABLE probe_noted ADD CONSTRAINT once UNIQUE (name, key) DEFERRABLE INITIALLY DEFERRED")
    note("a", "b")
    note("a")
    one.feed()
    assert one.noted() == {"a": [1], "b": [2]}
    assert one.parked() == {"a": [-3]}


class Deferring(Probe):
    """Breaks a deferred constraint in one statement and mends it in the next."""

    def apply(self, cursor, work):
        super().apply(cursor, work)
        super().apply(cursor, work)
        cursor.execute(
            "DELETE FROM probe_noted AS later USING probe_noted AS first"
            " WHERE later.id > first.id AND (later.name, later.key) = (first.name, first.key)"
        )


def test_who_needs_a_constraint_to_be_deferred_may_follow_one_that_failed():
    _owner("ALTER TABLE probe_noted ADD CONSTRAINT once UNIQUE (name, key) DEFERRABLE INITIALLY DEFERRED")
    with registered(Probe("first"), Deferring("second")) as (first, second):
        go_wrong("a")
        note("a", "b", "c")
        feeding.catch_up([first, second])
        for probe in (first, second):
            assert probe.parked() == {"a": [-1]}
            assert probe.noted() == {"b": [2], "c": [3]}


class WithModels(Probe):
    """Writes with Django's models, as an author may: the cursor's connection is theirs."""

    def apply(self, cursor, work):
        super().apply(cursor, work)
        for key, recorded in work:
            if key == "twice":
                for _ in range(2):
                    HandlerWarning.objects.create(subscriber=self.name, position=recorded.position, text=key)


def test_an_error_of_djangos_models_parks_its_event_and_rolls_back_nothing_else(one):
    with registered(WithModels("models")) as models:
        note("a", "twice", "a")
        fed = feeding.feed([one, models])
        assert fed.moved
        assert models.row.checkpoint == one.row.checkpoint == 3
        assert models.noted() == {"a": [1, 3]}
        assert models.parked() == {"twice": [-2]}
        assert not HandlerWarning.objects.exists()


def test_a_text_of_an_error_names_places_and_no_values(one):
    go_wrong("secret")
    note("secret")
    one.feed()
    parked = ParkedEvent.objects.get()
    assert parked.error.startswith("ValueError in apply")
    assert "secret" not in parked.error + parked.traceback


SKIPPED = "eventstore_skippedrange (subscriber, after, upto, reason, by, at)"
QUOTING = {
    "a date": ("SELECT 'secret'::date", "InvalidDatetimeFormat (22007)"),
    "a number": ("SELECT 'secret'::int", "InvalidTextRepresentation (22P02)"),
    "a cast": ("SELECT '{\"secret\"'::jsonb", "InvalidTextRepresentation (22P02)"),
    "a function": ("DO $$ BEGIN RAISE EXCEPTION 'secret'; END $$", "RaiseException (P0001)"),
    "a constraint": (
        f"INSERT INTO {SKIPPED} VALUES ('secret', 2, 1, '', '', now())",
        "CheckViolation (23514): table public.eventstore_skippedrange, constraint eventstore_skipped_some",
    ),
    "a column": (
        f"INSERT INTO {SKIPPED} VALUES ('secret', 1, 2, NULL, '', now())",
        "NotNullViolation (23502): table public.eventstore_skippedrange, column reason",
    ),
}


@pytest.mark.parametrize("quoting", QUOTING.values(), ids=QUOTING)
def test_a_text_of_an_error_of_the_database_names_what_it_is_about_and_no_values(one, quoting):
    statement, told = quoting
    go_wrong("a", statement=statement)
    note("a")
    one.feed()
    assert (ParkedEvent.objects.get().error, one.row.last_error) == (told, told)


def test_an_event_with_a_newer_schema_stops_a_subscriber_right_there(one):
    note("a", "b")
    _append_newer("c")
    note("a")
    one.feed()
    assert one.noted() == {"a": [1], "b": [2]}
    assert one.row.checkpoint == 2
    assert one.parked() == {}


class Blind(Probe):
    """Has keys that need no reading."""

    def keys(self, recorded):
        return [recorded.stream_id]


@pytest.mark.parametrize("parked_before", [False, True])
def test_it_stops_too_where_its_key_needs_no_reading_or_is_parked(parked_before):
    stream = new_id()
    with registered(Blind()) as probe:
        if parked_before:
            go_wrong(str(stream), f"{stream}@1")
        note("a", stream=stream)
        _append_newer("b", stream)
        probe.feed()
        assert probe.row.checkpoint == 1
        assert list(probe.parked()) == ([str(stream)] if parked_before else [])


def test_others_are_fed_beyond_a_newer_event_that_they_do_not_want(one):
    class Other(Probe):
        types = frozenset({"customer.registered"})

    with registered(Other("other")) as other:
        _append_newer("a")
        feeding.catch_up([one, other])
        assert (one.row.checkpoint, other.row.checkpoint) == (0, 1)


def test_too_many_keys_at_once_halt_it_with_nothing_parked_and_nothing_moved(one):
    keys = [f"key{number}" for number in range(25)]
    go_wrong(*keys)
    note("good")
    one.feed()
    note("good", *keys, "good")
    one.feed()
    assert one.row.status == "halted"
    assert "25 different keys" in one.row.last_error
    assert (one.parked(), one.noted(), one.row.checkpoint) == ({}, {"good": [1]}, 1)
    note("good")
    one.feed()
    assert one.row.checkpoint == 1


def test_one_key_less_does_not_halt_it(one):
    keys = [f"key{number}" for number in range(24)]
    go_wrong(*keys)
    note(*keys, *keys)
    one.feed()
    assert one.row.status == "running"
    assert len(one.parked()) == 24


@override_settings(EVENTSTORE_HALT_AT=3)
@pytest.mark.parametrize("mode", Mode)
def test_keys_that_fail_one_by_one_within_a_minute_halt_it_too_though_some_were_tried_again(mode):
    with registered(Probe(mode=mode)) as probe:
        go_wrong("a", "b", "c")
        for key in ("a", "b"):
            note(key)
            probe.feed()
            retry_keys("probe", [key])
        note("c")
        probe.feed()
        assert probe.row.status == "halted"
        assert probe.parked() == {"a": [-1], "b": [-2]}


@override_settings(EVENTSTORE_HALT_AT=3)
def test_what_failed_longer_ago_is_not_counted(one):
    go_wrong("a", "b", "c")
    note("a", "b")
    one.feed()
    query("UPDATE eventstore_parked SET parked_at = parked_at - interval '61 seconds'")
    note("c")
    one.feed()
    assert one.row.status == "running"
    assert len(one.parked()) == 3


def test_a_warning_is_kept_with_the_rows(one):
    note("warned", "a")
    one.feed()
    warning = HandlerWarning.objects.get()
    assert (warning.subscriber, warning.position, warning.text) == ("probe", 1, "odd")


def test_what_was_rolled_back_has_warned_of_nothing(one):
    go_wrong("warned")
    note("warned", "a")
    one.feed()
    assert one.parked() == {"warned": [-1]}
    assert not HandlerWarning.objects.exists()
    mend("warned")
    retry_keys("probe", ["warned"])
    assert HandlerWarning.objects.count() == 1


def test_a_warning_is_there_once_however_often_its_event_is_applied():
    with registered(Probe(idempotent=True)) as probe:
        note("warned warned2", "warned")
        probe.feed()
        query("UPDATE eventstore_subscriber SET checkpoint = 0")
        probe.feed()
        assert sorted(HandlerWarning.objects.values_list("position", flat=True)) == [1, 2]
        assert probe.noted("warned") == [1, 2, 1, 2]


def _owner(statement):
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(statement)


def _append_newer(name, stream=None):
    """As a process of tomorrow would."""
    declared = catalogue[TYPE]
    declared.schema += 1
    try:
        note(name, stream=stream)
    finally:
        declared.schema -= 1
    assert StoredEvent.objects.latest("position").schema_version == declared.schema + 1
