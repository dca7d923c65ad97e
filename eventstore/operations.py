"""What staff may do to the running system. Each operation is a value: what it is asked to do, what it will touch, and
how it is carried out; whoever performs it, from whatever front end, is recorded.

(After the *actions* of Wagtail: one mutation a class, with its permission and its record.)
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
import structlog

from eventstore import applying
from eventstore.errors import EventstoreError, ReasonMissing
from eventstore.models import OperatorAction, SubscriberRow
from eventstore.parking import describe
from eventstore.subscribers import Rank, registry

log = structlog.get_logger(__name__)

O = TypeVar("O", bound="Operation")  # noqa: E741 - an operation


class Result(msgspec.Struct, frozen=True):
    """What workers made of an operation: what is to be told of it, and what is wrong, if anything is."""

    told: dict[str, Any] = {}
    trouble: str = ""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do to one subscriber, or to something else of a name that it `concerns`.

    Its fields are what somebody has to say about it: numbers, texts, times, yes or no, or several of a kind;
    `msgspec.Meta` gives a field the title and the description that people see.
    """

    ranks: ClassVar[frozenset[Rank]] = frozenset(Rank)
    """The kinds of subscribers that it is done to."""

    name: ClassVar[str] = ""
    verb: ClassVar[str] = ""
    permission: ClassVar[str] = ""
    needs_reason: ClassVar[bool] = False

    subscriber: str

    @classmethod
    def concerns(cls, target: str) -> bool:
        """Whether there is anything of this name that it could be done to."""
        return any(subscriber.name == target and subscriber.rank in cls.ranks for subscriber in registry)

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        """Whether there is any sense in it for a subscriber as its rows stand, so that a page about it has a button."""
        return True

    def foresee(self) -> str:
        """What it will touch, in words, for whoever is asked to confirm it. Raises what it would be refused with."""
        raise NotImplementedError

    def carry_out(self, *, by: str, reason: str) -> str:
        """Do it; answers what was done, in words. Raises `EventstoreError` and has then changed nothing."""
        raise NotImplementedError

    def remaining(self) -> int:
        """How much of it workers have yet to do after it was carried out, in whatever it comes; 0 when it is over."""
        return 0

    def result(self) -> Result:
        """What came of it once nothing remains; empty when its outcome was all there is to say."""
        return Result()


class Operations:
    """All that are declared, by name."""

    def __init__(self) -> None:
        self._declared: dict[str, type[Operation]] = {}

    def add(self, declared: type[Operation]) -> None:
        self._declared[declared.name] = declared

    def __getitem__(self, name: str) -> type[Operation]:
        return self._declared[name]

    def __contains__(self, name: str) -> bool:
        return name in self._declared

    def __iter__(self) -> Iterator[type[Operation]]:
        return iter(self._declared.values())


operations = Operations()


def operation(name: str, *, verb: str, permission: str, needs_reason: bool = False) -> Callable[[type[O]], type[O]]:
    """Declare an operation: its stable name, what its button says, and who may perform it."""

    def declare(declared: type[O]) -> type[O]:
        declared.name, declared.verb, declared.permission = name, verb, permission
        declared.needs_reason = needs_reason
        operations.add(declared)
        return declared

    return declare


def perform(asked: Operation, *, by: str, reason: str = "") -> str:
    """Carry out an operation and record it; the record is there even if this process dies on the way.

    Answers what was done. Raises `ReasonMissing`, `ActsWhileApplying`, or whatever the operation is refused with.
    """
    applying.refuse_to("operate")
    record = OperatorAction.objects.create(
        operation=asked.name,
        target=asked.subscriber,
        details=_details(asked),
        reason=reason,
        by=by,
        outcome="was begun, and nobody heard of its end",
    )
    try:
        record.outcome = _carry_out(asked, by, reason)
    except Exception as error:
        record.refused = True
        record.outcome = str(error) if isinstance(error, EventstoreError) else f"failed: {describe(error)}"
        raise
    finally:
        record.save(update_fields=["outcome", "refused"])
        log.info("operated", operation=asked.name, target=asked.subscriber, by=by, outcome=record.outcome)
    return record.outcome


def _carry_out(asked: Operation, by: str, reason: str) -> str:
    if asked.needs_reason and not reason.strip():
        raise ReasonMissing
    return asked.carry_out(by=by, reason=reason)


def _details(asked: Operation) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(asked)
    del details["subscriber"]
    return details
