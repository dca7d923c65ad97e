"""Where the business can be run: in memory, an act at a time and in any order, or on the machinery and the database
that sell in earnest. Aggregates, sagas and side effects are the same.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from django.utils import timezone

from eventstore import commands, repository, store
from eventstore.aggregates import Aggregate, Command
from eventstore.codec import Recorded
from eventstore.errors import DomainError, StreamExists, StreamNotFound
from eventstore.events import Event
from eventstore.handler_guard import applying
from eventstore.models import ParkedEvent, StoredEvent
from eventstore.subscriptions.registry import registry
from eventstore.testing import NOON, recorded, reset
from ordering.domain.values import Money
from ordering.effects.refund import ask_provider
from ordering.models import FinanceAccount, JournalEntry
from ordering.processes.booking import Booking
from ordering.processes.cancellation import Cancellation
from ordering.processes.sale import Sale
from ordering.projections.journal import FinanceAccounts, Journal
from ordering.providers.provider import Instructions, RefundAnswer, RefundOutcome
from projections.testing import project
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.refusal import CommandRefused, refusal_stream
from sagas.saga import Saga
from sagas.steps import After, At, Cancel, Send, Step
from sagas.testing import bring_to_rest, let_pass

A = TypeVar("A", bound=Aggregate)

BANK = "bank"
SETTLES, FAILS, HANGS, UNKNOWN = "SETTLES", "FAILS", "HANGS", "UNKNOWN"
"""How the references of money begin of which the bank gives back at once, only when it is asked anew, says for good
that it will, and doesn't answer the first time.
"""

MOST_MOVES = 20_000
"""After so many something goes in circles."""


class Bank:
    """A provider that keeps what it has given back, by the key that it was asked under."""

    name = BANK
    remote = False

    def __init__(self) -> None:
        self.answers: dict[UUID, RefundAnswer] = {}
        self.given_back: dict[UUID, Money] = {}
        self._asked: set[UUID] = set()
        self._refused: set[tuple[str, Money]] = set()

    def start(self, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
        return Instructions(reference=order_number)

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Nothing is sent to the webhook."""

    def reports(self, body: bytes) -> Sequence[Any]:
        return ()

    def look_up(self, payment_id: UUID) -> Sequence[Any]:
        return ()

    def refund(self, reference: str, amount: Money, *, key: UUID) -> RefundAnswer:
        if reference.startswith(UNKNOWN) and key not in self._asked:
            self._asked.add(key)
            raise TimeoutError("no answer")
        if key not in self.answers:
            self.answers[key] = self._answer(reference, amount, named=f"back {len(self.answers) + 1} of {reference}")
        if self.answers[key].outcome is RefundOutcome.SETTLED:
            self.given_back[key] = amount
        return self.answers[key]

    def _answer(self, reference: str, amount: Money, named: str) -> RefundAnswer:
        if reference.startswith(HANGS):
            return RefundAnswer(outcome=RefundOutcome.PENDING)
        if reference.startswith(FAILS) and (reference, amount) not in self._refused:
            self._refused.add((reference, amount))
            return RefundAnswer(outcome=RefundOutcome.FAILED, reason="Not today.")
        return RefundAnswer(outcome=RefundOutcome.SETTLED, reference=named)


class Waiting(NamedTuple):
    """A timer."""

    due_at: datetime
    name: str
    command: Command


class World(Protocol):
    """What a test may do to the business, and what it may see of it."""

    has_clock: bool
    """Whether the time that passes is also that of the events."""

    @property
    def now(self) -> datetime: ...

    def dispatch(self, command: Command) -> None:
        """Raises what it is refused with."""

    def get(self, kind: type[A], stream_id: UUID) -> A: ...

    def since(self, position: int) -> list[Recorded]:
        """The events of the log after this position."""

    def advance(self, choice: int) -> None:
        """Do one thing that follows from what has happened; which one is for the choice."""

    def rest(self) -> None:
        """Do everything that follows, until it is done."""

    def let_pass(self, time: timedelta) -> None: ...

    def timers(self, order_id: UUID, name: str) -> int:
        """How many of this name wait for an order."""

    def entries(self) -> list[JournalEntry]:
        """The journal, when all is done."""


class InMemory:
    """Each saga follows the log by itself, each of its instances sends its commands one after the other, and refunds
    are asked for whenever it comes about: what happens next is anybody's choice.
    """

    has_clock = True

    def __init__(self) -> None:
        self.now = NOON
        self._log: list[Recorded] = []
        self._streams: dict[UUID, list[Recorded]] = defaultdict(list)
        self._claims: dict[tuple[str, str], UUID] = {}
        self._sagas: list[Saga[Any]] = [Sale(), Booking(), Cancellation()]
        self._heard = {saga.name: 0 for saga in self._sagas}
        self._states: dict[tuple[str, str], Any] = {}
        self._outbox: dict[tuple[str, str], deque[Command]] = defaultdict(deque)
        self._timers: dict[tuple[str, str], list[Waiting]] = defaultdict(list)
        self._refunds: list[Recorded] = []
        self._bits = count()

    def dispatch(self, command: Command) -> None:
        kind, handler = commands.routes.handler(command)
        aggregate = self.get(kind, command.stream_id)
        if handler.creates and aggregate.exists:
            raise StreamExists
        if handler.creates is False and not aggregate.exists:
            raise StreamNotFound
        aggregate.decide(command, self)
        for claim in aggregate.claimed:
            if self._claims.setdefault((claim.scope, claim.value), aggregate.id) != aggregate.id:
                raise claim.refusal
        for released in aggregate.released:
            self._claims.pop(released, None)
        self._append(aggregate.id, kind.category, aggregate.recorded)

    def get(self, kind: type[A], stream_id: UUID) -> A:
        aggregate = kind(stream_id)
        for each in self._streams[stream_id]:
            aggregate.evolve(each.event)
        return aggregate

    def look_up(self, kind: type[A], stream_id: UUID, *, guarded: bool = False) -> A:
        aggregate = self.get(kind, stream_id)
        if not aggregate.exists:
            raise StreamNotFound
        return aggregate

    def random_bits(self, bits: int) -> int:
        return next(self._bits)

    def since(self, position: int) -> list[Recorded]:
        return self._log[position:]

    def advance(self, choice: int) -> None:
        if moves := self._moves():
            moves[choice % len(moves)]()

    def rest(self) -> None:
        for _ in range(MOST_MOVES):
            if not (moves := self._moves()):
                return
            moves[0]()
        raise AssertionError("It goes on and on.")

    def let_pass(self, time: timedelta) -> None:
        self.now += time

    def timers(self, order_id: UUID, name: str) -> int:
        return sum(each.name == name for each in self._timers[Sale.name, str(order_id)])

    def entries(self) -> list[JournalEntry]:
        accounts: dict[Any, FinanceAccount] = project(FinanceAccounts, *self._of(FinanceAccounts))
        return [*project(Journal, *self._of(Journal), looked_up=accounts.values()).values()]

    def _of(self, projection: type[FinanceAccounts | Journal]) -> list[Recorded]:
        return [each for each in self._log if each.type in projection.handlers]

    def _append(self, stream_id: UUID, category: str, events: Sequence[Event]) -> None:
        for event in events:
            stream = self._streams[stream_id]
            place = {"position": len(self._log) + 1, "version": len(stream) + 1}
            told = recorded(event, **place, stream_id=stream_id, category=category, recorded_at=self.now)
            stream.append(told)
            self._log.append(told)
            if told.type in ask_provider.types:
                self._refunds.append(told)

    def _moves(self) -> list[Callable[[], None]]:
        """All that can happen next."""
        behind = [saga for saga in self._sagas if self._heard[saga.name] < len(self._log)]
        due = [(key, timer) for key, timers in self._timers.items() for timer in timers if timer.due_at <= self.now]
        return [
            *(partial(self._feed, saga) for saga in behind),
            *(partial(self._send, instance) for instance, queue in self._outbox.items() if queue),
            *(partial(self._ask_back, asked) for asked in self._refunds),
            *(partial(self._fire, instance, timer) for instance, timer in due),
        ]

    def _feed(self, saga: Saga[Any]) -> None:
        """One event; those that it doesn't want pass it by."""
        told = self._log[self._heard[saga.name]]
        self._heard[saga.name] += 1
        key = saga.key(told)
        if key is None or not (saga.begins(key, told) or (saga.name, key) in self._states):
            return
        state = self._states.setdefault((saga.name, key), saga.state())
        with applying():
            steps = list(saga.react(state, told))
        for step in steps:
            self._take((saga.name, key), step, told)

    def _take(self, instance: tuple[str, str], step: Step, told: Recorded) -> None:
        match step:
            case Send(command):
                self._outbox[instance].append(command)
            case At(due_at, command, name):
                self._timers[instance].append(Waiting(due_at, name, command))
            case After(delay, command, name):
                self._timers[instance].append(Waiting(told.recorded_at + delay, name, command))
            case Cancel(name):
                self._timers[instance] = [timer for timer in self._timers[instance] if timer.name != name]

    def _send(self, instance: tuple[str, str]) -> None:
        command, (saga, key) = self._outbox[instance].popleft(), instance
        try:
            self.dispatch(command)
        except DomainError as refusal:
            refused = CommandRefused(
                saga=saga,
                key=key,
                command_id=UUID(int=len(self._log)),
                command=command.stored,
                code=refusal.code,
                detail=str(refusal),
            )
            self._append(refusal_stream(saga, key), "saga", [refused])

    def _fire(self, instance: tuple[str, str], timer: Waiting) -> None:
        self._timers[instance].remove(timer)
        self._outbox[instance].append(timer.command)

    def _ask_back(self, asked: Recorded) -> None:
        """An error is no answer: it is asked again."""
        try:
            answer = ask_provider.act(asked.event, asked)
        except TimeoutError:
            return
        self._refunds.remove(asked)
        assert isinstance(answer, Event)
        self._append(ask_provider.idempotency_key(asked), "effect", [answer])


class OnTheDatabase:
    """What a request feeds by itself is fed with it; all else when it is let."""

    has_clock = False

    def __init__(self) -> None:
        reset()
        registry.make_rows()

    @property
    def now(self) -> datetime:
        return timezone.now()

    def dispatch(self, command: Command) -> None:
        commands.dispatch(command)

    def get(self, kind: type[A], stream_id: UUID) -> A:
        return repository.load(kind, stream_id)

    def since(self, position: int) -> list[Recorded]:
        positions = StoredEvent.objects.filter(position__gt=position).order_by("position")
        return store.read_these([*positions.values_list("position", flat=True)])

    def advance(self, choice: int) -> None:
        bring_to_rest(deliver=choice % 2 == 1)

    def rest(self) -> None:
        bring_to_rest()
        for _ in range(3):
            Delivery.objects.filter(status="pending").update(due_at=NOON.replace(year=2000))
            bring_to_rest()
        assert not ParkedEvent.objects.exists()
        assert not OutboxCommand.objects.exclude(status__in=["done", "refused"]).exists()
        assert not Delivery.objects.exclude(status="done").exists()

    def let_pass(self, time: timedelta) -> None:
        let_pass(time)

    def timers(self, order_id: UUID, name: str) -> int:
        return Timer.objects.filter(saga=Sale.name, key=order_id, name=name, status="waiting").count()

    def entries(self) -> list[JournalEntry]:
        return [*JournalEntry.objects.all()]
