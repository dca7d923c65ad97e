"""What staff do to a subscriber: what it does, what it refuses, and that it is recorded."""

import threading
from contextlib import closing

import pytest
from django.db import connections

from eventstore.context import new_id
from eventstore.errors import Busy, NothingParked, ReasonMissing, Refused, UnknownSubscriber
from eventstore.models import OperatorAction, ParkedEvent, SkippedRange, SubscriberRow
from eventstore.operations.base import operations, perform
from eventstore.operations.subscribers import Discard, Pause, Reshard, Resume, Retry, Rewind, Skip
from eventstore.subscriptions import feeding, gaps
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode, Rank
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import (
    WHO,
    Probe,
    go_wrong,
    last_action,
    mend,
    note,
    own_shard,
    query,
    registered,
    waiting_for,
)
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("probe_tables")

WHY = "a test wants it"


def do(operation, reason=WHY):
    return perform(operation, by=WHO, reason=reason)


def pause(name="probe"):
    return do(Pause(target=name))


def resume(name="probe"):
    return do(Resume(target=name))


def state():
    """All that an operation could have changed."""
    return [list(model.objects.order_by("pk").values()) for model in (SubscriberRow, ParkedEvent, SkippedRange)]


def assert_refused(operation, kind=Refused, match=None, reason=WHY):
    before = state()
    with pytest.raises(kind, match=match):
        do(operation, reason)
    assert state() == before
    assert last_action().operation == operation.name
    assert last_action().refused
    assert last_action().outcome


@pytest.fixture
def rewindable(probe_tables):
    with registered(Probe(idempotent=True)) as probe:
        yield probe


@pytest.fixture
def divisible(probe_tables):
    with registered(Probe(mode=Mode.ASYNC, idempotent=True)) as probe:
        yield probe


def test_who_is_paused_is_not_fed_until_it_is_resumed(one):
    note("a")
    one.feed()
    pause()
    note("b")
    one.feed()
    assert one.noted() == {"a": [1]}
    assert "1 events wait" in Resume(target="probe").preview()
    resume()
    one.feed()
    assert one.noted() == {"a": [1], "b": [2]}


def test_who_stands_cannot_be_paused_and_who_runs_cannot_be_resumed(one):
    assert_refused(Resume(target="probe"), match="running")
    pause()
    assert_refused(Pause(target="probe"), match="paused")


def test_an_operation_is_recorded_with_who_asked_and_why(one):
    pause()
    action = last_action()
    assert (action.operation, action.target, action.by, action.reason) == ("pause", "probe", WHO, WHY)
    assert (action.outcome, action.refused, action.details) == ("paused", False, {})
    do(Skip(target="probe", upto=note("a")))
    assert last_action().details == {"upto": 1}


def test_an_operation_on_nobody_is_refused():
    assert_refused(Pause(target="nobody"), UnknownSubscriber)


@pytest.mark.parametrize("name", ["probe 0/2", "probe 3/2", "probe 1/2 1/2", "probe 1", "probe/2"])
def test_only_a_shard_that_there_can_be_is_known_by_its_rows_name(one, name):
    with pytest.raises(UnknownSubscriber):
        registry[name]


def test_who_has_halted_is_resumed_and_what_failed_before_is_not_held_against_it(one):
    keys = [f"key{number}" for number in range(25)]
    go_wrong(*keys)
    note(*keys[:24])
    one.feed()
    note(keys[24])
    one.feed()
    assert (one.row.status, len(one.parked())) == ("halted", 24)
    resume()
    note(keys[24])
    one.feed()
    assert one.row.status == "running"
    assert len(one.parked()) == 25


def test_after_the_fault_is_mended_all_is_applied_as_if_it_had_never_been(one):
    keys = [f"key{number}" for number in range(25)]
    go_wrong(*keys)
    note(*keys)
    one.feed()
    assert one.row.status == "halted"
    mend(*keys)
    resume()
    one.feed()
    assert one.noted() == {key: [position] for position, key in enumerate(keys, 1)}
    assert one.parked() == {}


def test_who_skips_is_not_fed_what_lies_between_and_has_a_gap(one):
    note("a", "b", "c")
    pause()
    assert "from position 1 to 2" in Skip(target="probe", upto=2).preview()
    assert do(Skip(target="probe", upto=2)) == "skipped from 0 to 2"
    skipped = SkippedRange.objects.get()
    assert (skipped.after, skipped.upto, skipped.reason, skipped.by) == (0, 2, WHY, WHO)
    resume()
    one.feed()
    assert one.noted() == {"c": [3]}
    assert [each.why for each in gaps.gaps("probe").ranges] == ["skipped"]


def test_skipping_is_refused_while_it_runs_behind_itself_and_beyond_what_is_final(one):
    note("a", "b")
    one.feed()
    note("c")
    assert_refused(Skip(target="probe", upto=3), match="pause it first")
    pause()
    assert_refused(Skip(target="probe", upto=2), match="stands at 2 already")
    assert_refused(Skip(target="probe", upto=4), match="final up to 3")
    assert_refused(Skip(target="probe", upto=3), ReasonMissing, reason=" ")
    with closing(raw.connect()) as writer:
        raw.append(writer)
        note("d")
        assert_refused(Skip(target="probe", upto=5), match="final up to 3")


def test_what_is_foreseen_is_refused_as_it_would_be(one):
    with pytest.raises(Refused, match="pause it first"):
        Skip(target="probe", upto=3).preview()
    with pytest.raises(Refused, match="not declared idempotent"):
        Rewind(target="probe", to=0).preview()
    with pytest.raises(Refused, match="fed by requests"):
        Reshard(target="probe", shards=2).preview()
    with pytest.raises(NothingParked):
        Retry(target="probe").preview()


def test_who_is_rewound_applies_everything_once_more(rewindable):
    note("a", "b", "a")
    rewindable.feed()
    pause()
    assert do(Rewind(target="probe", to=1)) == "moved back to 1"
    resume()
    rewindable.feed()
    assert rewindable.noted() == {"a": [1, 3, 3], "b": [2, 2]}


def test_rewinding_forgets_what_was_parked_and_skipped_above(rewindable):
    go_wrong("a", "b")
    note("a", "b", "a", "c")
    rewindable.feed()
    note(*"dddd")
    pause()
    do(Skip(target="probe", upto=6))
    do(Skip(target="probe", upto=8))
    do(Rewind(target="probe", to=5))
    assert [(each.after, each.upto) for each in SkippedRange.objects.all()] == [(4, 5)]
    do(Rewind(target="probe", to=2))
    assert rewindable.parked() == {"a": [-1], "b": [-2]}
    assert not SkippedRange.objects.exists()
    resume()
    rewindable.feed()
    assert rewindable.parked() == {"a": [-1, 3], "b": [-2]}


@pytest.mark.parametrize("wrong", ["a", "?"])
def test_what_was_discarded_is_left_out_by_who_is_rewound_too(rewindable, wrong):
    note("b", "b", stream=(stream := new_id()))
    go_wrong(wrong)
    note(wrong, "b", stream=stream)
    rewindable.feed()
    ((key, _),) = rewindable.parked().items()
    do(Discard(target="probe", key=key, positions=(3,)))
    mend(wrong)
    pause()
    do(Rewind(target="probe", to=1))
    resume()
    rewindable.feed()
    assert rewindable.parked() == {}
    assert rewindable.noted() == {"b": [1, 2, 4, 2, 4]}


def test_rewinding_is_refused_where_it_would_falsify_something(rewindable):
    note("a", "b")
    rewindable.feed()
    assert_refused(Rewind(target="probe", to=1), match="pause it first")
    pause()
    assert_refused(Rewind(target="probe", to=2), match="stands at 2")
    assert_refused(Rewind(target="probe", to=-1), match="stands at 2")
    assert_refused(Rewind(target="probe", to=1), ReasonMissing, reason="")
    with registered(Probe("once")), registered(Probe("saga", rank=Rank.SAGA, idempotent=True)):
        assert_refused(Rewind(target="once", to=0), match="not declared idempotent")
        assert_refused(Rewind(target="saga", to=0), match="acts on the world")


def test_code_of_another_version_moves_no_checkpoint(rewindable):
    note("a")
    rewindable.feed()
    pause()
    query("UPDATE eventstore_subscriber SET version = 2 WHERE name = 'probe'")
    assert_refused(Rewind(target="probe", to=0), Busy, match="another version")
    note("b")
    assert_refused(Skip(target="probe", upto=2), Busy, match="another version")
    resume()


def test_who_is_split_goes_on_in_each_of_its_shards_and_is_put_together_again(divisible):
    keys = [f"key{number}" for number in range(12)]
    note(*keys)
    divisible.feed()
    assert do(Reshard(target="probe", shards=3)) == "resharded into 3"
    assert [(row.name, row.shard, row.shards, row.checkpoint) for row in divisible.rows] == [
        ("probe 1/3", 0, 3, 12),
        ("probe 2/3", 1, 3, 12),
        ("probe 3/3", 2, 3, 12),
    ]
    note(*keys)
    divisible.feed()
    for shards in (5, 1):
        do(Reshard(target="probe", shards=shards))
        note(*keys)
        divisible.feed()
    assert divisible.noted() == {key: [at, at + 12, at + 24, at + 36] for at, key in enumerate(keys, 1)}
    assert (divisible.row.processed, divisible.row.mode) == (48, "async")


def test_parked_events_stay_with_their_key(divisible):
    go_wrong("a")
    note("a", "b", "a")
    divisible.feed()
    do(Reshard(target="probe", shards=2))
    note("a", "b")
    divisible.feed()
    assert divisible.parked() == {"a": [-1, 3, 4]}
    mend("a")
    do(Retry(target="probe"))
    do(Reshard(target="probe", shards=1))
    assert divisible.noted() == {"a": [1, 3, 4], "b": [2, 5]}


def test_splitting_is_refused_where_it_makes_no_sense(divisible):
    assert_refused(Reshard(target="probe", shards=0), match="Between 1 and 64")
    assert_refused(Reshard(target="probe", shards=65), match="Between 1 and 64")
    assert_refused(Reshard(target="probe", shards=1), match="so many rows already")
    do(Reshard(target="probe", shards=2))
    assert_refused(Reshard(target="probe", shards=2), match="so many rows already")
    with registered(Probe("sync")):
        assert_refused(Reshard(target="sync", shards=2), match="fed by requests")


def test_shards_that_stand_apart_are_put_at_one_place_first(divisible):
    do(Reshard(target="probe", shards=2))
    note("a", "b", "c", "d")
    feeding.catch_up([registry["probe 2/2"]])
    do(Reshard(target="probe", shards=4))
    assert [row.checkpoint for row in divisible.rows] == [4] * 4
    assert divisible.noted() == {"a": [1], "b": [2], "c": [3], "d": [4]}


def test_shards_that_cannot_be_put_at_one_place_stay_as_they_are(divisible):
    do(Reshard(target="probe", shards=2))
    note("a", "b", "c", "d")
    SubscriberRow.objects.filter(name="probe 1/2").update(status="halted")
    divisible.feed()
    assert_refused(Reshard(target="probe", shards=1), match="mend what holds one of them up")
    pause()
    assert_refused(Skip(target="probe", upto=4), match="don't stand at one place")
    resume()
    do(Reshard(target="probe", shards=1))
    assert divisible.noted() == {"a": [1], "b": [2], "c": [3], "d": [4]}


def test_a_stream_that_a_shard_holds_back_is_healed_when_all_shards_have_got_there(divisible):
    keys = ["a", "b", "c", "d"]
    do(Reshard(target="probe", shards=2))
    ahead = own_shard(divisible, "a").name
    behind = next(row.name for row in divisible.rows if row.name != ahead)
    note(" ".join(keys), stream=(stream := new_id()))
    go_wrong("?")
    note("?", *keys, stream=stream)
    feeding.catch_up([registry[ahead]])
    assert divisible.parked() == {f"stream {stream}": [-2, 3, 4, 5, 6]}
    mend("?")
    assert_refused(Retry(target="probe"), Busy, match="come as far")
    feeding.catch_up([registry[behind]])
    assert sorted(divisible.noted().items()) == [(key, [1]) for key in keys]
    do(Retry(target="probe"))
    assert divisible.noted() == {"a": [1, 3], "b": [1, 4], "c": [1, 5], "d": [1, 6], "?": [2]}
    assert divisible.parked() == {}


def test_who_waits_for_rows_that_are_replaced_meanwhile_gets_the_new_ones(divisible):
    pausing = threading.Thread(target=_in_thread, args=(pause,))
    with closing(raw.connect()) as splitting:
        splitting.execute("SELECT FROM eventstore_subscriber WHERE name = 'probe' FOR NO KEY UPDATE")
        pausing.start()
        eventually(lambda: waiting_for("FOR NO KEY UPDATE"))
        splitting.execute("UPDATE eventstore_subscriber SET name = 'probe 1/2', shards = 2 WHERE name = 'probe'")
        splitting.execute(
            "CREATE TEMPORARY TABLE copied AS SELECT * FROM eventstore_subscriber WHERE name = 'probe 1/2'"
        )
        splitting.execute("ALTER TABLE copied DROP COLUMN identity")  # which PostgreSQL makes of the others
        splitting.execute("DELETE FROM eventstore_subscriber WHERE name = 'probe 1/2'")
        splitting.execute("INSERT INTO eventstore_subscriber SELECT * FROM copied")
        splitting.commit()
        pausing.join(30)
    assert [row.status for row in divisible.rows] == ["paused"]


def test_two_shards_are_fed_by_two_at_the_same_time(divisible):
    do(Reshard(target="probe", shards=2))
    held = own_shard(divisible, "a").name
    other = next(row.name for row in divisible.rows if row.name != held)
    keys = [f"key{number}" for number in range(20)]
    others = [key for key in keys if own_shard(divisible, key).name == other]
    note("a", *others)
    with closing(raw.connect()) as feeder:
        feeder.execute("SELECT FROM eventstore_subscriber WHERE name = %s FOR NO KEY UPDATE", [held])
        feeding.catch_up([registry[held]])
        feeding.catch_up([registry[other]])
        assert list(divisible.noted()) == others
    divisible.feed()
    assert divisible.noted("a") == [1]


def test_an_operation_that_is_not_heard_of_again_has_left_its_record(one):
    with closing(raw.connect()) as blocker:
        blocker.execute("SELECT FROM eventstore_subscriber WHERE name = 'probe' FOR NO KEY UPDATE")
        operator = threading.Thread(target=_in_thread, args=(pause,))
        operator.start()
        eventually(lambda: waiting_for("FOR NO KEY UPDATE"))
        with closing(raw.connect("owner", autocommit=True)) as observer:
            (action,) = observer.execute("SELECT outcome, refused FROM eventstore_operation").fetchall()
        assert action == ("was begun, and nobody heard of its end", False)
    operator.join(30)
    assert last_action().outcome == "paused"


def test_every_operation_says_who_may_do_it_and_what_it_is_called():
    assert {"pause", "resume", "skip", "rewind", "split", "retry", "discard"} <= {each.name for each in operations}
    for each in operations:
        assert "." in each.permission
        assert each.verb
        assert each.__doc__


def test_records_are_never_fewer_than_what_was_asked(one):
    pause()
    for _ in range(2):
        assert_refused(Pause(target="probe"))
    resume()
    assert OperatorAction.objects.count() == 4


def _in_thread(act):
    try:
        act()
    finally:
        connections.close_all()
