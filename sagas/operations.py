"""The operations on what sagas send and wait for, and on the ledger of side effects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from django.db import transaction
from django.db.models import Max, QuerySet
from msgspec import Meta

from eventstore import commands, context, doorbell
from eventstore.errors import Refused
from eventstore.models import ClockTimestamp, SubscriberRow
from eventstore.operations.base import Operation, Result, operation
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas import outbox, rehearsal_runs
from sagas.attempts import note_retry
from sagas.effects.effect import Effect
from sagas.errors import NothingToResolve
from sagas.models import Delivery, OutboxCommand, RehearsalRun, Timer
from sagas.saga import Saga
from sagas.steps import At

COMMANDS = "sagas.resolve_command"
ABANDON_COMMAND = "sagas.abandon_command"
TIMERS = "sagas.resolve_timer"
REHEARSE = "sagas.rehearse_saga"
LEDGER = "sagas.resolve_delivery"
ABANDON_DELIVERY = "sagas.abandon_delivery"
COPY = "sagas.copy_delivery"

MOST_AT_ONCE = 10_000
"""Rows that one operation touches at most, the oldest; those beyond are for the next."""

Id = Annotated[int | None, Meta(description="Only this one, by its number in the list; empty for all.")]
OneId = Annotated[int, Meta(description="Its number in the list.")]
OfError = Annotated[str | None, Meta(title="only of the error")]
OfKey = Annotated[str | None, Meta(title="only of the key")]


class OfSaga(Operation, frozen=True, kw_only=True):
    """What is only done to sagas, to commands or timers that are as they must be for it."""

    ranks = frozenset({Rank.SAGA})
    needed: ClassVar[tuple[str, ...]] = (OutboxCommand.Status.PARKED,)

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return cls.concerned(rows[0].subscriber).exists()

    @classmethod
    def concerned(cls, saga: str) -> QuerySet[Any]:
        """The rows that it may be about."""
        return OutboxCommand.objects.filter(saga=saga, status__in=cls.needed)


@operation("rehearse", word="request-rehearsal", verb="Rehearse", permission=REHEARSE)
class Rehearse(Operation, frozen=True, kw_only=True):
    """Have a worker tell the code of a saga that runs there the history again, and compare what it would do."""

    ranks = frozenset({Rank.SAGA})

    since: Annotated[datetime | None, Meta(title="only since the time")] = None
    position: Annotated[int | None, Meta(title="only since the position")] = None

    def preview(self) -> str:
        self._judge()
        return (
            f"{self.target} is told what it has heard of once more, by the code that workers run, and the steps that it"
            " would take are compared with those that were taken. Nothing is sent, and nothing saved but what came"
            " of it."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        self._judge()
        since = self.position if self.since is None else self.since
        run = rehearsal_runs.request(self.target, since=since, requested_by=by)
        return f"being rehearsed, as number {run.pk}"

    def remaining(self) -> int:
        """Positions that are still to be read, and one for the end."""
        run = RehearsalRun.objects.filter(saga=self.target, finished_at=None).first()
        return 1 + max(0, run.total - run.done) if run else 0

    def result(self) -> Result:
        run = RehearsalRun.objects.filter(saga=self.target).exclude(finished_at=None).first()
        if run is None:
            return Result()
        told = {"rehearsal": run.pk, "instances": run.instances, "differing": run.differing}
        return Result(told, run.error or (rehearsal_runs.verdict(run) if run.differing else ""))

    def _judge(self) -> None:
        rehearsal_runs.saga_named(self.target)
        if self.since is not None and self.position is not None:
            raise Refused("Since a position or a time, not both.")
        if self.position is not None and self.position < 1:
            raise Refused("Positions count from 1.")


@operation("retry-command", verb="Retry commands", permission=COMMANDS)
class RetryCommand(OfSaga, frozen=True, kw_only=True):
    """Send parked commands of a saga again: all, one, those of an instance, or those of one error."""

    command: Id = None
    key: OfKey = None
    error: OfError = None

    def preview(self) -> str:
        many = _some(self._parked())
        return f"{self.target}: {_count(many, 'command')} sent again, and what waits behind in the same instances."

    def carry_out(self, *, by: str, reason: str) -> str:
        again = {"status": OutboxCommand.Status.PENDING, "due_at": ClockTimestamp()}
        sent = _retry("command", self._parked(), by, attempts=0, finished_at=None, **again)
        doorbell.ring(outbox.BELL, outbox.TASK)
        return f"{_count(sent, 'command')} sent again"

    def remaining(self) -> int:
        asked = _asked(pk=self.command, key=self.key)
        return OutboxCommand.objects.filter(saga=self.target, status=OutboxCommand.Status.PENDING, **asked).count()

    def _parked(self) -> QuerySet[OutboxCommand]:
        return self.concerned(self.target).filter(**_asked(pk=self.command, key=self.key, error=self.error))


@operation("abandon-command", verb="Abandon command", permission=ABANDON_COMMAND, needs_reason=True)
class AbandonCommand(OfSaga, frozen=True, kw_only=True):
    """Never send a parked command; its instance goes on with the next."""

    command: OneId

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        """Only beside the command that it is about."""
        return False

    def preview(self) -> str:
        row = self._parked().first()
        if row is None:
            raise NothingToResolve
        return (
            f"{row.type} of {row.saga} {row.key} is never sent, and the saga does not hear of it."
            " What waits behind it is sent."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        if not self._parked().update(status=OutboxCommand.Status.ABANDONED, finished_at=ClockTimestamp()):
            raise NothingToResolve
        doorbell.ring(outbox.BELL, outbox.TASK)
        return f"command {self.command} is abandoned"

    def _parked(self) -> QuerySet[OutboxCommand]:
        return self.concerned(self.target).filter(pk=self.command)


@operation("resolve-refusal", verb="Resolve refusals", permission=COMMANDS, needs_reason=True)
class ResolveRefusal(OfSaga, frozen=True, kw_only=True):
    """Say that unanswered refusals of a saga's commands are dealt with: of all, one, those of an instance, or those of
    one error.
    """

    needed = (OutboxCommand.Status.UNANSWERED,)

    command: Id = None
    key: OfKey = None
    error: OfError = None

    def preview(self) -> str:
        many = _some(self._unanswered())
        return (
            f"{self.target}: {_count(many, 'refusal')} resolved, for somebody has dealt with it. Nothing is sent again."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        ids = list(_oldest(self._unanswered()).values_list("pk", flat=True))
        resolved = self._unanswered().filter(pk__in=ids).update(status=OutboxCommand.Status.REFUSED)
        if not resolved:
            raise NothingToResolve
        return f"{_count(resolved, 'refusal')} resolved"

    def _unanswered(self) -> QuerySet[OutboxCommand]:
        return self.concerned(self.target).filter(**_asked(pk=self.command, key=self.key, error=self.error))


class OfTimer(OfSaga, frozen=True, kw_only=True):
    """What is done to a timer that waits."""

    needed = (Timer.Status.WAITING,)

    timer: OneId

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        """Only beside the timer that it is about."""
        return False

    def _waiting(self) -> QuerySet[Timer]:
        return Timer.objects.filter(saga=self.target, status__in=self.needed, pk=self.timer)

    def _one(self) -> Timer:
        timer = self._waiting().first()
        if timer is None:
            raise NothingToResolve
        return timer


@operation("move-timer", verb="Move timer", permission=TIMERS, needs_reason=True)
class MoveTimer(OfTimer, frozen=True, kw_only=True):
    """Let a timer that waits fire at another time. Where its saga says so, its aggregate is told."""

    due_at: Annotated[datetime, Meta(tz=True, title="due at", description="The new time.")]

    def preview(self) -> str:
        timer = self._one()
        return (
            f"{timer.type} of {timer.saga} {timer.key} is sent at {self.due_at:%Y-%m-%d %H:%M:%S %Z} and not at"
            f" {timer.due_at:%Y-%m-%d %H:%M:%S %Z}. Its aggregate may go by a time of its own."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        timer = self._one()
        told = _told_of_move(timer, self.due_at, reason)
        with transaction.atomic():
            if not self._waiting().update(due_at=self.due_at):
                raise NothingToResolve
            if told is not None:
                told.save(force_insert=True)
        doorbell.ring(outbox.BELL, outbox.TASK)
        return f"timer {self.timer} is due at {self.due_at:%Y-%m-%d %H:%M:%S %Z}"


@operation("cancel-timer", verb="Cancel timer", permission=TIMERS, needs_reason=True)
class CancelTimer(OfTimer, frozen=True, kw_only=True):
    """Let a timer that waits never fire."""

    def preview(self) -> str:
        timer = self._one()
        return f"{timer.type} of {timer.saga} {timer.key} is not sent, and nothing else is in its place."

    def carry_out(self, *, by: str, reason: str) -> str:
        if not self._waiting().update(status=Timer.Status.CANCELLED):
            raise NothingToResolve
        return f"timer {self.timer} is cancelled"


def _told_of_move(timer: Timer, due_at: datetime, reason: str) -> OutboxCommand | None:
    """What its saga has sent where this timer is moved, not saved yet."""
    saga = registry[timer.saga]
    if not isinstance(saga, Saga):
        return None
    armed = At(timer.due_at, msgspec.convert(timer.data, commands.routes.named(timer.type)), timer.name)
    command = saga.timer_moved(armed, due_at, reason)
    if command is None:
        return None
    command_id = context.new_id()
    return OutboxCommand(
        saga=timer.saga,
        key=timer.key,
        command_id=command_id,
        type=command.stored,
        data=msgspec.to_builtins(command),
        root=command_id,
        hops=0,
        correlation_id=timer.correlation_id,
        causation_id=timer.causation_id,
        actor=timer.actor,
    )


class OfEffect(Operation, frozen=True, kw_only=True):
    """What is done to rows of the ledger: one, or all of an effect that are as they must be for it."""

    ranks = frozenset({Rank.EFFECT})
    needed: ClassVar[tuple[str, ...]] = (Delivery.Status.FAILED,)

    delivery: Id = None
    error: OfError = None

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return cls._of(rows[0].subscriber).exists()

    @classmethod
    def _of(cls, effect: str) -> QuerySet[Delivery]:
        return Delivery.objects.filter(effect=effect, status__in=cls.needed)

    def _rows(self) -> QuerySet[Delivery]:
        return self._of(self.target).filter(**_asked(pk=self.delivery, error=self.error))

    def _resolve(self, **values: Any) -> int:
        ids = list(_oldest(self._rows()).values_list("pk", flat=True))
        resolved = self._rows().filter(pk__in=ids).update(**values)
        if not resolved:
            raise NothingToResolve
        return resolved

    def _again(self, by: str) -> int:
        again = {"status": Delivery.Status.PENDING, "due_at": ClockTimestamp()}
        resolved = _retry("delivery", self._rows(), by, attempts=0, finished_at=None, **again)
        _effect(self.target).ring()
        return resolved


@operation("retry-delivery", verb="Retry deliveries", permission=LEDGER)
class RetryDelivery(OfEffect, frozen=True, kw_only=True):
    """Try what has failed for good again: all of an effect, one, or all of one error."""

    def preview(self) -> str:
        return f"{self.target}: {_count(_some(self._rows()), 'delivery')} tried again."

    def carry_out(self, *, by: str, reason: str) -> str:
        return f"{_count(self._again(by), 'delivery')} tried again"

    def remaining(self) -> int:
        unfinished = [Delivery.Status.PENDING, Delivery.Status.RUNNING]
        rows = Delivery.objects.filter(effect=self.target, status__in=unfinished, **_asked(pk=self.delivery))
        return rows.filter(due_at__lte=ClockTimestamp()).count()


@operation("try-delivery", word="try-now", verb="Try now", permission=LEDGER)
class TryNow(OfEffect, frozen=True, kw_only=True):
    """Try at once what has failed so far and would be tried again later: all of an effect, one, or all of one error."""

    needed = (Delivery.Status.PENDING,)

    @classmethod
    def _of(cls, effect: str) -> QuerySet[Delivery]:
        return cls.among(super()._of(effect))

    @classmethod
    def among(cls, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Those that have failed so far."""
        return rows.filter(attempts__gt=0).exclude(error="")

    def preview(self) -> str:
        return f"{self.target}: {_count(_some(self._rows()), 'delivery')} tried at once."

    def carry_out(self, *, by: str, reason: str) -> str:
        tried = _retry("delivery", self._rows(), by, due_at=ClockTimestamp())
        _effect(self.target).ring()
        return f"{_count(tried, 'delivery')} tried at once"


@operation("abandon-delivery", verb="Abandon deliveries", permission=ABANDON_DELIVERY, needs_reason=True)
class AbandonDelivery(OfEffect, frozen=True, kw_only=True):
    """Give up what has failed, or has not happened yet: it is never tried again."""

    needed = (Delivery.Status.FAILED, Delivery.Status.IN_DOUBT, Delivery.Status.PENDING, Delivery.Status.WAITING)
    needed_for_all: ClassVar[tuple[str, ...]] = (Delivery.Status.FAILED,)

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return OfEffect.offered(rows)

    def preview(self) -> str:
        return f"{self.target}: {_count(_some(self._rows()), 'delivery')} never tried again."

    def carry_out(self, *, by: str, reason: str) -> str:
        resolved = self._resolve(
            status=Delivery.Status.ABANDONED, finished_at=ClockTimestamp(), waits_for="", wait_reason=""
        )
        return f"{_count(resolved, 'delivery')} abandoned"

    def _rows(self) -> QuerySet[Delivery]:
        """All at once only of those that have failed: what may still happen is given up one by one."""
        rows = super()._rows()
        return rows if self.delivery is not None else rows.filter(status=Delivery.Status.FAILED)


class InDoubt(OfEffect, frozen=True, kw_only=True):
    """What nobody knows: whether it happened."""

    needed = (Delivery.Status.IN_DOUBT,)


@operation("it-happened", word="mark-delivered", verb="Mark delivered", permission=LEDGER, needs_reason=True)
class MarkDelivered(InDoubt, frozen=True, kw_only=True):
    """Somebody found out that what was in doubt has happened: it counts as done."""

    def preview(self) -> str:
        return f"{self.target}: {_count(_some(self._rows()), 'delivery')} counted as done."

    def carry_out(self, *, by: str, reason: str) -> str:
        resolved = self._resolve(status=Delivery.Status.DONE, finished_at=ClockTimestamp(), error="")
        return f"{_count(resolved, 'delivery')} done"


@operation("send-again", word="redeliver", verb="Redeliver", permission=COPY, needs_reason=True)
class Redeliver(InDoubt, frozen=True, kw_only=True):
    """Somebody found out that what was in doubt has not happened, or prefers a second one: it is carried out."""

    def preview(self) -> str:
        return f"{self.target}: {_count(_some(self._rows()), 'delivery')} carried out, perhaps a second time."

    def carry_out(self, *, by: str, reason: str) -> str:
        return f"{_count(self._again(by), 'delivery')} carried out"


@operation("resend", word="send-copy", verb="Send a copy", permission=COPY, needs_reason=True)
class SendCopy(OfEffect, frozen=True, kw_only=True):
    """Have what was done for one event done once more, under another Message-ID or idempotency key."""

    needed = (Delivery.Status.DONE, Delivery.Status.ABANDONED)

    delivery: OneId

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        """Only beside the delivery that it is about."""
        return False

    def preview(self) -> str:
        row = self._one()
        return f"{row.effect} acts once more for the event at position {row.position:,}, although it has."

    def carry_out(self, *, by: str, reason: str) -> str:
        with transaction.atomic(durable=True):
            row = self._one(locked=True)
            same = Delivery.objects.filter(effect=row.effect, position=row.position)
            copy = (same.aggregate(last=Max("copy"))["last"] or 0) + 1
            made = Delivery.objects.create(effect=row.effect, position=row.position, copy=copy)
        _effect(self.target).ring()
        return f"carried out once more, as delivery {made.pk}"

    def _one(self, *, locked: bool = False) -> Delivery:
        rows = self._rows()
        row = (rows.select_for_update() if locked else rows).first()
        if row is None:
            raise NothingToResolve
        return row


def on_retired(subscriber: str, gone: dict[str, int], **_: Any) -> None:
    """Nothing that a retired saga or effect had yet to do is done. Instances and their histories stay."""
    unsent = [OutboxCommand.Status.PENDING, OutboxCommand.Status.PARKED]
    commands = OutboxCommand.objects.filter(saga=subscriber, status__in=unsent)
    timers = Timer.objects.filter(saga=subscriber, status=Timer.Status.WAITING)
    over = [Delivery.Status.DONE, Delivery.Status.ABANDONED]
    deliveries = Delivery.objects.filter(effect=subscriber).exclude(status__in=over)
    now = ClockTimestamp()
    gone["unsent commands"] = commands.update(status=OutboxCommand.Status.ABANDONED, finished_at=now)
    gone["timers"] = timers.update(status=Timer.Status.CANCELLED)
    gone["deliveries"] = deliveries.update(
        status=Delivery.Status.ABANDONED, finished_at=now, waits_for="", wait_reason=""
    )


def _effect(name: str) -> Effect:
    found = registry[name]
    if not isinstance(found, Effect):
        raise Refused(f"{name} is no side effect.")
    return found


def _retry(field: str, rows: QuerySet[Any], by: str, **values: Any) -> int:
    """Have commands or deliveries tried again, the oldest up to a bound, and note that beside each; answers how many.
    Raises `NothingToResolve`.
    """
    with transaction.atomic():
        ids = list(_oldest(rows).select_for_update(of=("self",)).values_list("pk", flat=True))
        if not ids:
            raise NothingToResolve
        note_retry(field, ids, by=by)
        rows.model._default_manager.filter(pk__in=ids).update(**values)
    return len(ids)


def _oldest(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.order_by("pk")[:MOST_AT_ONCE]


def _asked(**wanted: Any) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}


def _some(rows: QuerySet[Any]) -> int:
    """How many there are. Raises `NothingToResolve` where there is none."""
    many = _oldest(rows).count()
    if not many:
        raise NothingToResolve
    return many


def _count(many: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"1 {noun} is" if many == 1 else f"{many:,} {plural} are"
