"""Whatever happens to two projections, and in whatever order: in the end their rows are what the events say.

Two read tables follow the same events, one with handlers that may run once only, one that is idempotent. A state
machine appends, feeds, fails, kills, repairs, operates, rebuilds, verifies, mends and rolls back in any order, every
generation a transaction at a time. A fold in plain Python, which knows nothing of checkpoints, says after each step
what the rows have to be.

Every run takes the same examples: `make test` the first ones, `make test-long` all of them, for a minute at most. For a
longer search with other ones each time, where the steps to a failure are made few:
INTERLEAVINGS=2000 STEPS=80 pytest tests/integration/test_any_interleaving.py --timeout=0
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connections, models, transaction
from hypothesis import HealthCheck, Phase
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from eventstore import database, store
from eventstore.errors import EventstoreError, NothingParked
from eventstore.events import Meta
from eventstore.models import DiscardedEvent, ParkedEvent, SubscriberRow
from eventstore.operations import subscribers as subscriber_operations
from eventstore.operations.subscribers import Discard, Pause, Reshard, Resume, Retry, Rewind, Skip
from eventstore.store import Changes
from eventstore.subscriptions import feed_state, feeding
from eventstore.subscriptions.gaps import gaps
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import retry_due
from eventstore.testing import reset
from ordering.domain.seats import Line, SeatsReleased, SeatsSold
from projections.models import Difference, Generation, Part, ReadModel
from projections.projection import ASYNC, DELETE, Outcome, Projection, on
from projections.rebuild import builder, bulk, generations, swap
from projections.rebuild import part as part_module
from projections.rebuild.builder import Builder
from tests.integration.eventstore import raw

INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "0"))
STEPS = int(os.environ.get("STEPS", "50"))

SHARED = ("a", "b", "c", "d")
OWN = ("e", "f")
KEYS = (*SHARED, *OWN)
*STREAMS, HELD_BACK = (uuid5(UUID(int=0), str(number)) for number in range(4))
"""The last is the one whose events may have no key yet, and none of the others has events of its keys: while a stream
is held back the others pass it, so that the order of a key they share would not be that of the log.
"""

POISON, KEYLESS = 13, 17
"""Quantities that a handler, and a key function, can't take until the code is mended."""


class Sold(ReadModel):
    key = models.TextField(primary_key=True)
    history = models.JSONField(default=list)

    class Meta:
        abstract = True
        app_label = "interleaving"

    def __str__(self) -> str:
        return self.key


class Tally(Sold):
    """What was sold, in the order in which it was applied: once too often would be seen."""

    class Meta(Sold.Meta):
        pass


class Mark(Sold):
    """What was sold, by position: applied twice, it is the same."""

    class Meta(Sold.Meta):
        pass


class Killed(BaseException):
    """The process ends here."""


class Faults:
    """What goes wrong, and when: the number of calls of a handler until then."""

    def __init__(self) -> None:
        self.mended = False
        self.next: dict[str, int] = {}
        self.backend: int | None = None
        self.struck = False

    def strike(self) -> None:
        for kind in list(self.next):
            self.next[kind] -= 1
            if self.next[kind] < 0:
                del self.next[kind]
                self.struck = True
                getattr(self, kind)()

    def locked(self) -> None:
        raise psycopg.errors.LockNotAvailable

    def killed(self) -> None:
        raise Killed

    def terminated(self) -> None:
        with closing(raw.connect("owner", autocommit=True)) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [self.backend])


faults = Faults()


def keys_of(event: SeatsSold | SeatsReleased, meta: Meta) -> list[str]:
    if not faults.mended and any(line.quantity == KEYLESS for line in event.lines):
        raise ValueError("whose is it?")
    return [line.seat_type for line in event.lines]


def quantity_of(key: str, event: SeatsSold | SeatsReleased) -> int:
    faults.strike()
    quantity = next(line.quantity for line in event.lines if line.seat_type == key)
    if quantity == POISON and not faults.mended:
        raise ValueError("that many?")
    return quantity


class Tallies(Projection[Tally], name="tallies"):
    model = Tally

    @on(SeatsSold, key=keys_of)
    def sold(self, row: Tally, event: SeatsSold, meta: Meta) -> None:
        row.history = [*row.history, [meta.position, quantity_of(row.key, event)]]

    @on(SeatsReleased, key=keys_of)
    def released(self, row: Tally, event: SeatsReleased, meta: Meta) -> Outcome:
        quantity_of(row.key, event)
        return DELETE


class Marks(Projection[Mark], name="marks", mode=ASYNC, idempotent=True):
    model = Mark

    @on(SeatsSold, key=keys_of)
    def sold(self, row: Mark, event: SeatsSold, meta: Meta) -> None:
        before = [each for each in row.history if each[0] != meta.position]
        row.history = sorted([*before, [meta.position, quantity_of(row.key, event)]])

    @on(SeatsReleased, key=keys_of)
    def released(self, row: Mark, event: SeatsReleased, meta: Meta) -> Outcome:
        quantity_of(row.key, event)
        return DELETE


class Happened(NamedTuple):
    """An event as the model of the test knows it."""

    stream: str
    release: bool
    lines: dict[str, int]


class Notes:
    """What is odd about the rows of one generation, by what was done to it."""

    def __init__(self) -> None:
        self.skipped: list[tuple[int, int, set[str]]] = []  # after, up to, keys that were folded anew since
        self.damaged: set[str] = set()
        self.ahead = 0  # the checkpoint before a rewind: until it is reached again, rows are ahead of it
        self.unlike = False  # applied what was discarded later, while it was not live


class Follower:
    """One of the two projections, and what the test knows of it."""

    def __init__(self, projection: Projection[Any]) -> None:
        self.projection, self.name, self.model = projection, projection.name, projection.model
        self.live, self.former = Notes(), Notes()
        self.discarded: set[tuple[str, int]] = set()
        self.fillers: dict[int, Builder] = {}

    def rows(self) -> dict[str, list[list[int]]]:
        return dict(self.model._default_manager.values_list("key", "history"))

    def shards(self) -> list[SubscriberRow]:
        return list(SubscriberRow.objects.filter(subscriber=self.name))

    def checkpoint(self, key: str) -> int:
        for row in self.shards():
            if row.shards == 1 or registry[row.name].hash_range.holds(key):
                return row.checkpoint
        raise AssertionError(key)

    def lowest(self) -> int:
        return min(row.checkpoint for row in self.shards())

    def parked(self) -> set[tuple[str, int]]:
        return set(ParkedEvent.objects.filter(subscriber=self.name).values_list("key", "position"))

    @property
    def rewound(self) -> bool:
        return self.lowest() < self.live.ahead


def subscribers(*followers: Follower) -> list[Any]:
    return [registry[row.name] for follower in followers for row in follower.shards()]


class Interleaving(RuleBasedStateMachine):
    """The steps, in any order."""

    def __init__(self) -> None:
        super().__init__()
        reset()
        for model in (Tally, Mark):
            model._default_manager.all().delete()
        settings.EVENTSTORE_MODES = {}
        faults.__init__()  # type: ignore[misc]
        registry.make_rows()
        self.followers = [Follower(registry[name]) for name in ("tallies", "marks")]  # type: ignore[arg-type]
        self.events: dict[int, Happened] = {}
        self.versions: dict[UUID, int] = defaultdict(int)
        self.held: tuple[int, UUID, Happened] | None = None

    def teardown(self) -> None:
        self._let_go(commit=False)
        for follower in self.followers:
            for filler in follower.fillers.values():
                filler.close()

    # What happens in the log

    @rule(
        stream=st.sampled_from(STREAMS),
        lines=st.dictionaries(st.sampled_from(SHARED), st.sampled_from((1, 2, 3, 3, POISON)), min_size=1, max_size=3),
        release=st.sampled_from((False, False, False, True)),
    )
    def append(self, stream: UUID, lines: dict[str, int], release: bool) -> None:
        happened = Happened(f"stream {stream}", release, lines)
        if self.held and self.held[1] == stream:
            return
        self.events[self._append(stream, happened)] = happened
        self.versions[stream] += 1

    @rule(
        lines=st.dictionaries(st.sampled_from(OWN), st.sampled_from((1, KEYLESS, KEYLESS)), min_size=1, max_size=2),
        release=st.sampled_from((False, False, False, True)),
    )
    def append_what_has_no_key_yet(self, lines: dict[str, int], release: bool) -> None:
        self.append(HELD_BACK, lines, release)

    @precondition(lambda self: not self.held)
    @rule(stream=st.sampled_from(STREAMS), key=st.sampled_from(SHARED))
    def append_and_hold_the_commit_back(self, stream: UUID, key: str) -> None:
        happened = Happened(f"stream {stream}", False, {key: 5})
        transaction.set_autocommit(False, "late")
        self.held = (self._append(stream, happened, using="late"), stream, happened)
        with connections["late"].cursor() as cursor:
            # A session that is idle in an append is ended after a while: here, not before the test says so.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    @precondition(lambda self: self.held)
    @rule(commit=st.booleans())
    def end_the_held_back_commit(self, commit: bool) -> None:
        self._let_go(commit=commit)

    def _append(self, stream: UUID, happened: Happened, using: str = "default") -> int:
        kind = SeatsReleased if happened.release else SeatsSold
        lines = tuple(Line(key, quantity) for key, quantity in happened.lines.items())
        event = kind(conference_id=stream, order_id=stream, lines=lines)
        changes = Changes(stream_id=stream, category="conference", expected=self.versions[stream], events=[event])
        with transaction.atomic(using):
            appended = store.append(changes, using=using)
        assert appended.last
        return appended.last

    def _let_go(self, *, commit: bool) -> None:
        if not self.held:
            return
        position, stream, happened = self.held
        self.held = None
        if commit:
            transaction.commit("late")
            self.events[position] = happened
            self.versions[stream] += 1
        else:
            transaction.rollback("late")
        connections["late"].close()

    # What goes wrong

    @rule()
    def mend_the_code(self) -> None:
        faults.mended = True

    @rule(kind=st.sampled_from(("locked", "killed", "terminated")), after=st.integers(0, 4))
    def let_something_fail_soon(self, kind: str, after: int) -> None:
        faults.next[kind] = after

    def _survive(self, work: Callable[[], Any], using: str = "default") -> bool:
        """Work, as a process that may be killed. False when it was."""
        with database.cursor(using) as cursor:
            faults.backend, faults.struck = cursor.connection.info.backend_pid, False
        try:
            work()
        except (Killed, DatabaseError, psycopg.Error):
            assert faults.struck
            for alias in ("default", "owner"):
                connections[alias].close()
            for follower in self.followers:
                for filler in follower.fillers.values():
                    filler.close()
                follower.fillers.clear()
            return False
        return True

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS), how=st.sampled_from(("update", "delete", "insert")))
    def damage_a_row(self, which: int, key: str, how: str) -> None:
        follower = self.followers[which]
        rows = follower.model._default_manager.filter(pk=key)
        if how == "update":
            rows.update(history=[[0, 99]])
        elif how == "delete":
            rows.delete()
        elif not rows:
            follower.model._default_manager.create(pk=key, as_of=0, history=[])
        follower.live.damaged.add(key)

    # Who feeds

    @rule()
    def feed_both(self) -> None:
        self._feed(*self.followers)

    @rule(which=st.integers(0, 1))
    def feed_one(self, which: int) -> None:
        self._feed(self.followers[which])

    @rule(which=st.integers(0, 1), shard=st.integers(0, 2))
    def feed_one_shard(self, which: int, shard: int) -> None:
        known = subscribers(self.followers[which])
        self._survive(lambda: feeding.feed([known[shard % len(known)]]))

    def _feed(self, *followers: Follower) -> None:
        self._survive(lambda: feeding.feed(subscribers(*followers)))

    @rule()
    def let_time_pass(self) -> None:
        SubscriberRow.objects.update(retry_at=None)
        ParkedEvent.objects.filter(retry_at__isnull=False).update(retry_at="2000-01-01T00:00Z")

    @rule()
    def retry_what_is_due(self) -> None:
        self._survive(lambda: retry_due(subscribers(*self.followers)))

    # What operators do

    @rule(which=st.integers(0, 1), number=st.integers(0, 5), how=st.sampled_from(("all", "key", "error")))
    def retry(self, which: int, number: int, how: str) -> None:
        name = self.followers[which].name
        failed = list(ParkedEvent.objects.filter(subscriber=name).exclude(error=""))
        if failed:
            one = failed[number % len(failed)]
            only = {"all": {}, "key": {"key": one.key}, "error": {"error": one.error}}[how]
            self._operate(Retry(target=name, **only))

    @rule(which=st.integers(0, 1), number=st.integers(0, 5))
    def discard(self, which: int, number: int) -> None:
        follower = self.followers[which]
        parked = sorted(follower.parked())
        if parked:
            key, position = parked[number % len(parked)]
            self._operate(Discard(target=follower.name, key=key, positions=(position,)))
            if DiscardedEvent.objects.filter(subscriber=follower.name, key=key, position=position).exists():
                follower.discarded.add((key, position))
                follower.former.unlike = True

    @rule(which=st.integers(0, 1))
    def pause(self, which: int) -> None:
        self._operate(Pause(target=self.followers[which].name))

    @rule(which=st.integers(0, 1))
    def resume(self, which: int) -> None:
        self._operate(Resume(target=self.followers[which].name))

    @rule(which=st.integers(0, 1), by=st.integers(1, 6))
    def skip(self, which: int, by: int) -> None:
        follower = self.followers[which]
        before = follower.lowest()
        if self._operate(Skip(target=follower.name, upto=before + by)):
            follower.live.skipped.append((before, before + by, set()))

    @rule(which=st.integers(0, 1), by=st.integers(1, 9))
    def rewind(self, which: int, by: int) -> None:
        follower = self.followers[which]
        before, to = max(row.checkpoint for row in follower.shards()), max(0, follower.lowest() - by)
        if self._operate(Rewind(target=follower.name, to=to)):
            notes = follower.live
            notes.ahead = max(notes.ahead, before)
            notes.skipped = [(after, min(upto, to), keys) for after, upto, keys in notes.skipped if after < to]

    @rule(which=st.integers(0, 1), shards=st.integers(1, 3))
    def split(self, which: int, shards: int) -> None:
        self._operate(Reshard(target=self.followers[which].name, shards=shards))

    @rule(modes=st.sampled_from(({}, {"tallies": "async"}, {"marks": "sync"}, {"tallies": "async", "marks": "async"})))
    def switch_modes(self, modes: dict[str, str]) -> None:
        settings.EVENTSTORE_MODES = modes
        registry.forget_rows()
        registry.make_rows()

    def _operate(self, asked: Any) -> bool:
        """False when it was refused, or its process died; then the test looks at what is there."""
        done = False

        def operate() -> None:
            nonlocal done
            with suppress(EventstoreError, NothingParked):
                asked.carry_out(by="test", reason="test")
                done = True

        self._survive(operate)
        return done

    # Generations

    @rule(which=st.integers(0, 1), parts=st.integers(1, 3))
    def begin_a_rebuild(self, which: int, parts: int) -> None:
        with suppress(EventstoreError):
            generations.rebuild(self.followers[which].name, parts=parts)

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS))
    def begin_to_rebuild_a_key(self, which: int, key: str) -> None:
        with suppress(EventstoreError):
            generations.rebuild_keys(self.followers[which].name, [key])

    @rule(which=st.integers(0, 1), key=st.sampled_from((None, None, *KEYS)))
    def begin_a_verification(self, which: int, key: str | None) -> None:
        with suppress(EventstoreError):
            generations.verify(self.followers[which].name, keys=[key] if key else None)

    @rule(which=st.integers(0, 1))
    def begin_to_mend(self, which: int) -> None:
        with suppress(EventstoreError):
            generations.repair(self.followers[which].name)

    @rule(which=st.integers(0, 1))
    def begin_to_roll_back(self, which: int) -> None:
        with suppress(EventstoreError):
            generations.roll_back(self.followers[which].name)

    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        with suppress(EventstoreError):
            generations.cancel(self.followers[which].name)

    @rule(number=st.integers(0, 9))
    def fold_a_step(self, number: int) -> None:
        parts = list(Part.objects.filter(generation__status="building"))
        if parts:
            self._fold(parts[number % len(parts)])

    @rule(number=st.integers(0, 9), steps=st.integers(2, 20))
    def fold_for_a_while(self, number: int, steps: int) -> None:
        for step in range(steps):
            self.fold_a_step(number + step)

    def _fold(self, part: Part) -> None:
        follower = next(each for each in self.followers if each.name == part.generation.projection)

        def fold() -> None:
            filler = follower.fillers.get(part.pk) or follower.fillers.setdefault(part.pk, Builder(part.pk))
            if filler.step() is builder.StepOutcome.CAUGHT_UP:
                swap.finish(filler.generation, filler.projection)

        self._survive(fold, using="owner")
        self._note_the_end(follower, Generation.objects.get(pk=part.generation_id))

    def _note_the_end(self, follower: Follower, ended: Generation) -> None:
        if ended.status == "building":
            return
        for part in ended.parts.all():
            if part.pk in follower.fillers:
                follower.fillers.pop(part.pk).close()
        if ended.status == "live":
            back = ended.purpose == "rollback"
            follower.former, follower.live = follower.live, follower.former if back else Notes()
            follower.former.unlike = follower.former.unlike and not back
        elif ended.status == "verified":
            self._judge_the_verification(follower, ended)
        elif ended.status == "repaired":
            mended = (
                set(ended.keys or ())
                if ended.differing is None
                else set(Difference.objects.filter(generation=ended).values_list("key", flat=True))
            )
            follower.live.damaged -= mended
            for _, _, keys in follower.live.skipped:
                keys.update(mended)

    def _judge_the_verification(self, follower: Follower, ended: Generation) -> None:
        """It names the rows that are damaged, and nothing that can't be explained."""
        notes = follower.live
        found = dict(Difference.objects.filter(generation=ended).values_list("key", "kind"))
        assert len(found) == ended.differing
        if not (follower.rewound or notes.unlike or notes.skipped or follower.parked() or not faults.mended):
            assert set(found) <= notes.damaged, found

    # What holds after each step

    @invariant()
    def no_checkpoint_is_above_what_is_final(self) -> None:
        open_position = self.held[0] if self.held else None
        checkpoints = [row.checkpoint for follower in self.followers for row in follower.shards()]
        checkpoints += Part.objects.filter(generation__projection__in=["tallies", "marks"]).values_list(
            "checkpoint", flat=True
        )
        assert max(checkpoints, default=0) <= store.head()
        if open_position:
            assert max(checkpoints, default=0) < open_position

    @invariant()
    def rows_are_what_was_applied(self) -> None:
        for follower in self.followers:
            if follower.rewound or follower.live.unlike:
                continue
            rows, expected = follower.rows(), self._expected(follower)
            for key in set(KEYS) - follower.live.damaged:
                assert rows.get(key) == expected.get(key), (follower.name, key)

    @invariant()
    def a_parked_key_queues_behind_an_event_that_failed(self) -> None:
        for follower in self.followers:
            by_key: dict[str, list[int]] = defaultdict(list)
            for key, position in sorted(follower.parked()):
                by_key[key].append(position)
            for key, positions in by_key.items():
                first = self.events[positions[0]]
                quantities = first.lines.values() if key.startswith("stream") else [first.lines[key]]
                assert {POISON, KEYLESS} & set(quantities), (follower.name, key, positions)
                assert ParkedEvent.objects.get(subscriber=follower.name, key=key, position=positions[0]).error

    @invariant()
    def gaps_are_exact(self) -> None:
        horizon = min(store.head(), self.held[0] - 1 if self.held else store.head())
        for follower in self.followers:
            found = gaps(follower.name)
            missing = {position for _, position in follower.parked()}
            missing |= {
                position
                for position, happened in self.events.items()
                if position <= horizon and self._is_pending(follower, position, happened)
            }
            covered = {
                position for position in self.events for each in found.ranges if each.first <= position <= each.last
            }
            skipped = {
                position
                for position in self.events
                for after, upto, _ in follower.live.skipped
                if after < position <= upto
            }
            assert missing | skipped <= covered, (follower.name, found)
            assert found.count >= len(missing | skipped)
            if len(follower.shards()) == 1:
                assert covered == missing | skipped, (follower.name, found)

    def _is_pending(self, follower: Follower, position: int, happened: Happened) -> bool:
        return any(position > follower.checkpoint(key) for key in happened.lines)

    def _expected(self, follower: Follower) -> dict[str, list[list[int]]]:
        """Everything up to the checkpoint that isn't parked, discarded or skipped, folded from the beginning."""
        checkpoints = {key: follower.checkpoint(key) for key in KEYS}
        parked = follower.parked()
        rows: dict[str, list[list[int]]] = {}
        for position, happened in sorted(self.events.items()):
            for key, quantity in happened.lines.items():
                names = {(key, position), (happened.stream, position)}
                skipped = any(
                    after < position <= upto and key not in keys for after, upto, keys in follower.live.skipped
                )
                if position > checkpoints[key] or skipped or names & (parked | follower.discarded):
                    continue
                if happened.release:
                    rows.pop(key, None)
                else:
                    rows.setdefault(key, []).append([position, quantity])
        return rows


class InTheEnd(Interleaving):
    """The same, with everything brought to an end that was left open."""

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            super().teardown()

    def _end(self) -> None:
        self._let_go(commit=True)
        faults.next.clear()
        faults.mended = True
        for follower in self.followers:
            with suppress(EventstoreError):
                generations.cancel(follower.name)
            for part in Part.objects.filter(generation__status="building", generation__projection=follower.name):
                self._fold(part)
            with suppress(EventstoreError):
                Resume(target=follower.name).carry_out(by="test", reason="")
            self.let_time_pass()
            feeding.catch_up(subscribers(follower))
            with suppress(NothingParked):
                Retry(target=follower.name).carry_out(by="test", reason="")
            assert not follower.parked()
            if follower.live.skipped or follower.live.unlike or follower.live.damaged:
                builder.complete(generations.rebuild(follower.name))
                follower.live = Notes()
            assert gaps(follower.name).count == 0
            assert {row.checkpoint for row in follower.shards()} == {store.head()}
            assert follower.rows() == self._expected(follower)
            verified = builder.complete(generations.verify(follower.name))
            assert (verified.status, verified.differing) == ("verified", 0)
        assert not Generation.objects.filter(status="building").exists()
        kept = Generation.objects.filter(made=True).exclude(status="live").count()
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'generation%'")
            assert cursor.fetchone() == (kept,)


@pytest.fixture
def two_projections(clean: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Their tables, made as a migration would; batches so small that every seam is met."""
    for module, name, value in (
        (feeding, "BATCH", 3),
        (feed_state, "NEAR", 1_000),
        (builder, "BATCH", 4),
        (builder, "CAUTIOUS", 3),
        (part_module, "BATCH", 2),
        (swap, "NEAR", 4),
        (swap, "WITHIN", 0.3),
        (bulk, "CHUNK", 2),
        (subscriber_operations, "STAND_TOGETHER_WITHIN", 0.1),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(settings, "EVENTSTORE_MODES", {}, raising=False)
    connections.databases["late"] = dict(connections.databases["default"])
    application = connections["default"].settings_dict["USER"]
    with closing(raw.connect("owner", autocommit=True)) as owner, connections["owner"].schema_editor() as editor:
        for model in (Tally, Mark):
            owner.execute(f"DROP TABLE IF EXISTS {model._meta.db_table}")
            editor.create_model(model)
    with closing(raw.connect("owner", autocommit=True)) as owner:
        for model in (Tally, Mark):
            owner.execute(f'GRANT ALL ON {model._meta.db_table} TO "{application}"')
        declared = (Tallies(), Marks())
        registry.register(*declared)
        registry.forget_rows()
        yield
        for projection in declared:
            registry.unregister(projection)
            owner.execute(f"DROP TABLE {projection.model._meta.db_table} CASCADE")
    connections["late"].close()
    del connections["late"], connections.databases["late"]
    reset()


@pytest.mark.parametrize(
    "examples",
    [INTERLEAVINGS] if INTERLEAVINGS else [8, pytest.param(25, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_in_any_interleaving_rows_are_what_the_events_say(examples, two_projections):
    run_state_machine_as_test(
        InTheEnd,
        settings=profile(
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=not INTERLEAVINGS,
            database=None,
            deadline=None,
            phases=[Phase.generate, *([Phase.shrink] if INTERLEAVINGS else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
