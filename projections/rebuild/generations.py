"""Generations: a second set of a projection's rows is folded from the log while the live one goes on being fed.

What becomes of it when it has caught up depends on what it was asked for: a rebuild or a rollback takes the place of
the live one, a verification is compared with it, a repair copies a few rows, and one that is as of a position is kept.
`builder` folds, `swap` ends.
"""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from eventstore import database, store
from eventstore.errors import Refused
from eventstore.models import DiscardedEvent, HandlerWarning, ParkedEvent, SkippedRange, SubscriberRow
from eventstore.roles import owner_alias
from eventstore.subscriptions import hash_ranges
from eventstore.subscriptions.hash_ranges import ALL, HashRange
from eventstore.subscriptions.registry import registry
from projections import conf
from projections.errors import (
    DiscardedMeanwhile,
    LabelTaken,
    NeedsAnother,
    NoSuchGeneration,
    NoSuchKey,
    NothingHeld,
    NothingKept,
    NotRebuilding,
    OtherCode,
    RebuildRunning,
    UnknownProjection,
)
from projections.models import Generation, Part
from projections.projection import AnyProjection, Projection
from projections.rebuild import generation_tables

Purpose, Status = Generation.Purpose, Generation.Status

MOST_PARTS = 16


def projection_named(name: str) -> AnyProjection:
    """Raises `UnknownProjection`."""
    for subscriber in registry:
        if subscriber.name == name and isinstance(subscriber, Projection):
            return subscriber
    raise UnknownProjection(f"No projection is declared as {name!r}.")


def rebuild(
    name: str, *, parts: int = 1, throttle: int | None = None, hold: bool = False, requested_by: str = ""
) -> Generation:
    """Ask for a projection to be folded anew and swapped in; workers do it, `parts` of them at a time.

    `throttle` bounds the events a second of each part. On `hold` it is compared with the live rows first, and kept
    beside them until it is approved; then it has a part for each of their shards. Raises `RebuildRunning`.
    """
    generation = _new(name, Purpose.REBUILD, requested_by)
    generation.throttle, generation.held = throttle, hold
    return _begin(generation, range(_shards(name) if hold else parts))


def keep(name: str, *, upto: int, label: str, parts: int = 1, requested_by: str = "") -> Generation:
    """Ask for all rows to be folded from the events up to a position, and to be kept under a label, to be read only.

    Raises `LabelTaken`; `Refused` for a position that is not final yet, and where other read models are looked up, of
    which only the rows of today are there.
    """
    if projection_named(name).looks_up:
        raise Refused(f"{name} looks up rows of others, as they are now: ask for one of its rows as of a position.")
    if not label.strip():
        raise Refused("What is kept needs a label.")
    horizon = store.horizon()
    if not 0 <= upto <= horizon:
        raise Refused(f"A position is from 0 to {horizon:,}, where the log ends.")
    generation = _new(name, Purpose.AS_OF, requested_by)
    generation.target, generation.label = upto, label.strip()
    try:
        return _begin(generation, range(parts))
    except RebuildRunning:
        raise LabelTaken from None


def kept(name: str, label: str) -> Generation:
    """What is kept of a projection under a label. Raises `NothingKept`."""
    found = Generation.objects.filter(projection=name, label=label.strip(), status=Status.KEPT).first()
    if found is None:
        raise NothingKept
    return found


def drop_kept(name: str, label: str) -> Generation:
    """Give up what is kept under a label; workers drop its table. Raises `NothingKept`."""
    generation = kept(name, label)
    generation.status, generation.finished_at = Status.DROPPED, database.clock()
    generation.save(update_fields=["status", "finished_at"])
    return generation


def to_approve(name: str) -> Generation:
    """The rebuild that is held, and was compared. Raises `NothingHeld`."""
    held = Generation.objects.filter(projection=name, status=Status.BUILDING, held=True, approved_by="")
    generation = held.filter(compared__isnull=False, cancelling=False).first()
    if generation is None:
        raise NothingHeld
    return generation


def approve(name: str, *, by: str) -> Generation:
    """Have a rebuild that is held take the place of the live rows.

    Raises `NothingHeld`, `NeedsAnother`, or `OtherCode` when it isn't the running code that made it.
    """
    with transaction.atomic():
        generation = Generation.objects.select_for_update().get(pk=to_approve(name).pk)
        if not generation.awaits_approval:
            raise NothingHeld
        if conf.APPROVED_BY_ANOTHER.get() and by == generation.requested_by:
            raise NeedsAnother
        if not is_ours(generation, projection_named(name)):
            raise OtherCode(f"This generation of {name} was made by another version of its code: deploy that first.")
        generation.approved_by, generation.target = by, store.head()
        generation.save(update_fields=["approved_by", "target"])
    return generation


def verify(
    name: str, *, only: HashRange = ALL, keys: Sequence[str] | None = None, requested_by: str = ""
) -> Generation:
    """Ask for the live rows to be compared with a fresh fold: all, those of a range of the keys, or of these keys.

    Raises `RebuildRunning` when it is being verified already, `NoSuchKey`.
    """
    generation = _new(name, Purpose.VERIFY, requested_by)
    generation.lower, generation.upper = only.lower, only.upper or ""
    generation.keys = _texts(name, keys) if keys is not None else None
    return _begin(generation, range(_shards(name)))


def rebuild_keys(name: str, keys: Sequence[str], *, requested_by: str = "") -> Generation:
    """Ask for the rows of a few keys to be folded anew and put in place of what is there.

    Raises `NoSuchKey`, or `OtherCode` when the other rows were folded by code that isn't the running one.
    """
    generation = _new(name, Purpose.REPAIR, requested_by)
    generation.keys = _texts(name, keys)
    _judge_live(name)
    return _begin(generation, range(_shards(name)))


def repair(name: str, *, requested_by: str = "") -> Generation:
    """Ask for the differences that the last verification found to be applied.

    Raises `NoSuchGeneration`, or `OtherCode` when it isn't the running code that found them or folded the live rows.
    """
    with transaction.atomic():
        return _resume(to_repair(name), Purpose.REPAIR, requested_by)


def to_repair(name: str) -> Generation:
    """The last verification that found differences, locked. Raises `NoSuchGeneration`, `OtherCode`."""
    verified = _last(name, Status.VERIFIED)
    if verified.differences.count() < (verified.differing or 0):
        raise NoSuchGeneration(f"{verified.differing:,} rows of {name} differ, too many to be repaired: rebuild it.")
    if not is_ours(verified, projection_named(name)):
        raise OtherCode(f"{name} was verified by another version of its code: verify it again.")
    _judge_live(name)
    return verified


def roll_back(name: str, *, requested_by: str = "") -> Generation:
    """Ask for the former generation to be caught up and swapped in again.

    Raises `NoSuchGeneration`, `OtherCode` when it was made by code that isn't the running one, `RebuildRunning`.
    """
    with transaction.atomic():
        old = to_roll_back(name)
        old.started_at = database.clock()
        return _resume(old, Purpose.ROLLBACK, requested_by)


def to_roll_back(name: str) -> Generation:
    """The generation that was live before, locked. Raises `NoSuchGeneration`, `OtherCode`."""
    old = _last(name, Status.OLD)
    if not is_ours(old, projection_named(name)):
        raise OtherCode(f"The former generation of {name} was made by another version of its code: deploy that first.")
    return old


def cancel(name: str, purpose: str | None = None) -> None:
    """Ask what is being folded of a projection to stop. What a rebuild made is dropped. Raises `NotRebuilding`."""
    building = Generation.objects.filter(projection=name, status=Status.BUILDING)
    if purpose:
        building = building.filter(purpose=purpose)
    if not building.update(cancelling=True):
        raise NotRebuilding


def set_throttle(name: str, throttle: int | None) -> None:
    """Bound the events a second of whatever is being folded of a projection. Raises `NotRebuilding`."""
    if not Generation.objects.filter(projection=name, status=Status.BUILDING).update(throttle=throttle):
        raise NotRebuilding


def is_ours(generation: Generation, projection: AnyProjection) -> bool:
    """Whether the running code may go on with a generation: it is what began it."""
    known = projection.is_at(generation.version, generation.types_hash)
    return known and projection.agrees_with(generation.fingerprint)


def range_of(generation: Generation) -> HashRange:
    return HashRange(generation.lower, generation.upper or None)


def range_of_part(part: Part) -> HashRange:
    return hash_ranges.shard(part.shard, part.shards)


def lock(generation: Generation, using: str) -> Generation:
    """The row of a generation and those of its parts, until the transaction ends: nobody folds meanwhile."""
    locked = Generation.objects.using(using).select_for_update().get(pk=generation.pk)
    list(Part.objects.using(using).select_for_update().filter(generation=locked).order_by("shard"))
    return locked


def judge_discards(generation: Generation) -> None:
    """What was discarded is in no fresh row; those of a former generation are as they were. Under the live rows' lock.

    Raises `DiscardedMeanwhile`.
    """
    discarded = DiscardedEvent.objects.using(owner_alias()).filter(subscriber=generation.projection)
    if generation.purpose != Purpose.ROLLBACK and discarded.filter(at__gt=generation.started_at).exists():
        raise DiscardedMeanwhile


def drop_retired(generation: Generation) -> None:
    """Drop what a generation holds whose projection was retired, or that is to be kept no longer; its record stays."""
    using = owner_alias()
    with transaction.atomic(using):
        locked = lock(generation, using)
        if locked.status == Status.DROPPED and locked.made:
            generation_tables.drop_all(locked)
            _forget_parked(locked)
            locked.made = False
            locked.save(update_fields=["made"])


def discard(generation: Generation, projection: AnyProjection, status: str) -> None:
    """Drop what a generation holds; its record stays. Within a transaction that has locked it."""
    generation_tables.drop(projection.model, generation)
    _forget_parked(generation)
    generation.made = False
    close(generation, status)


def close(generation: Generation, status: str) -> None:
    """Write down that a generation has ended, and as what. Within a transaction that has locked it."""
    generation.status, generation.finished_at, generation.waits_for = status, database.clock(owner_alias()), ""
    generation.cancelling = False
    generation.save(using=owner_alias())


def _forget_parked(generation: Generation) -> None:
    for model in (ParkedEvent, HandlerWarning, SkippedRange):
        model._default_manager.using(owner_alias()).filter(subscriber=generation.parked_as).delete()


def _new(name: str, purpose: str, requested_by: str) -> Generation:
    projection = projection_named(name)
    return Generation(
        projection=name,
        purpose=purpose,
        version=projection.version,
        types_hash=projection.types_hash,
        fingerprint=projection.fingerprint,
        target=store.head(),
        requested_by=requested_by,
    )


def _begin(generation: Generation, shards: range) -> Generation:
    try:
        with transaction.atomic():
            generation.save(force_insert=True)
            Part.objects.bulk_create(Part(generation=generation, shard=shard, shards=len(shards)) for shard in shards)
    except IntegrityError as error:
        raise RebuildRunning from error
    return generation


def _resume(generation: Generation, purpose: str, requested_by: str) -> Generation:
    generation.purpose, generation.status, generation.requested_by = purpose, Status.BUILDING, requested_by
    generation.cancelling, generation.error, generation.waits_for = False, "", ""
    generation.target, generation.finished_at = store.head(), None
    try:
        with transaction.atomic():
            generation.save()
    except IntegrityError as error:
        raise RebuildRunning from error
    return generation


def _texts(name: str, keys: Sequence[str]) -> list[str]:
    """Keys as their rows have them, however somebody wrote them. Raises `NoSuchKey`."""
    key = projection_named(name).model._meta.pk
    try:
        return [str(key.to_python(each)) for each in keys]
    except ValidationError as error:
        raise NoSuchKey from error


def _last(name: str, status: str) -> Generation:
    projection_named(name)
    made = Generation.objects.select_for_update().filter(projection=name, status=status, made=True)
    found = made.order_by("-id").first()
    if found is None:
        raise NoSuchGeneration
    return found


def _judge_live(name: str) -> None:
    """Rows of one code don't belong among those of another."""
    projection = projection_named(name)
    rows = SubscriberRow.objects.filter(subscriber=name)
    if not all(projection.is_at(row.version, row.types_hash) for row in rows):
        raise OtherCode(f"The live rows of {name} were folded by another version of its code: rebuild it.")


def _shards(name: str) -> int:
    """What is compared with live rows has a part for each shard of them, so that both can stand at one place."""
    return SubscriberRow.objects.filter(subscriber=name).count() or 1
