"""What staff may do to the running system. Each operation is a value: what it is asked to do, what it will touch, and
how it is carried out; whoever performs it, from whatever front end, is recorded.

(After the *actions* of Wagtail: one mutation a class, with its permission and its record.)
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import msgspec
import structlog
from django.db import IntegrityError, transaction

from eventstore import handler_guard
from eventstore.errors import EventstoreError, ReasonMissing
from eventstore.models import OperatorAction, SubscriberRow
from eventstore.subscriptions.parking import describe
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank

log = structlog.get_logger(__name__)

O = TypeVar("O", bound="Operation")  # noqa: E741 - an operation


class Result(msgspec.Struct, frozen=True):
    """What workers made of an operation: what is to be told of it, and what is wrong, if anything is."""

    told: dict[str, Any] = {}
    fault: str = ""


class FellShort(str):
    """An outcome that is less than was asked for, in words: nobody is to take it for a success."""

    __slots__ = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do to one subscriber, or to something else of a name that it `concerns`.

    Its fields are what somebody has to say about it: numbers, texts, times, yes or no, or several of a kind;
    `msgspec.Meta` gives a field the title and the description that people see.
    """

    ranks: ClassVar[frozenset[Rank]] = frozenset(Rank)
    """The kinds of subscribers that it is done to."""

    noun: ClassVar[str] = "subscriber"
    """What it is done to, for people."""

    page: ClassVar[str] = "eventstore_subscriber"
    """The page of the admin about what it is done to, by the name of its address; none where it is gone afterwards."""

    of_former: ClassVar[bool] = False
    """Whether it is done to those that the code no longer has."""

    name: ClassVar[str] = ""
    word: ClassVar[str] = ""
    verb: ClassVar[str] = ""
    permission: ClassVar[str] = ""
    further_permissions: ClassVar[tuple[str, ...]] = ()
    """What else whoever performs it has to be allowed."""

    needs_reason: ClassVar[bool] = False

    target: str
    """The subscriber, or whatever else, that it is done to."""

    @classmethod
    def is_allowed(cls, user: Any) -> bool:
        """Whether this user of Django may perform it."""
        return bool(user.has_perms([cls.permission, *cls.further_permissions]))

    @classmethod
    def concerns(cls, target: str) -> bool:
        """Whether there is anything of this name that it could be done to."""
        return any(subscriber.name == target and subscriber.rank in cls.ranks for subscriber in registry)

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        """Whether there is any sense in it for a subscriber as its rows stand, so that a page about it has a button."""
        return True

    def preview(self) -> str:
        """What it will touch, in words, for whoever is asked to confirm it. Raises what it would be refused with."""
        raise NotImplementedError

    def carry_out(self, *, by: str, reason: str) -> str:
        """Do it; answers what was done, in words, as `FellShort` where some of it failed. Raises `EventstoreError` and
        has then changed nothing.
        """
        raise NotImplementedError

    def remaining(self) -> int:
        """How much of it workers have yet to do after it was carried out, in whatever it comes; 0 when it is over."""
        return 0

    def result(self) -> Result:
        """What came of it once nothing remains; empty when its outcome was all there is to say."""
        return Result()


class Operations:
    """All that are declared, by the word that people ask for them with."""

    def __init__(self) -> None:
        self._declared: dict[str, type[Operation]] = {}

    def register(self, declared: type[Operation]) -> None:
        self._declared[declared.word] = declared

    def unregister(self, declared: type[Operation]) -> None:
        """Raises KeyError for one that isn't registered."""
        del self._declared[declared.word]

    def __getitem__(self, word: str) -> type[Operation]:
        return self._declared[word]

    def __contains__(self, word: str) -> bool:
        return word in self._declared

    def verb(self, name: str) -> str:
        """What the button of an operation says that is recorded under this name; the name where the code has none."""
        kind = self.named(name)
        return name if kind is None else kind.verb

    def named(self, name: str) -> type[Operation] | None:
        """The one that is recorded under this name, if the code has it."""
        return next((kind for kind in self if kind.name == name), None)

    def __iter__(self) -> Iterator[type[Operation]]:
        return iter(self._declared.values())


operations = Operations()


def operation(
    name: str, *, verb: str, permission: str, word: str | None = None, needs_reason: bool = False
) -> Callable[[type[O]], type[O]]:
    """Declare an operation: the stable name that it is recorded under, what its button says, and who may perform it.

    `word` is how people ask for it, in commands and addresses, where that is not its name.
    """

    def declare(declared: type[O]) -> type[O]:
        declared.name, declared.word, declared.verb, declared.permission = name, word or name, verb, permission
        declared.needs_reason = needs_reason
        operations.register(declared)
        return declared

    return declare


def perform(asked: Operation, *, by: str, reason: str = "", request_id: UUID | None = None) -> str:
    """Carry out an operation and record it; the record is there even if this process dies on the way.

    Answers what was done. The same `request_id` is carried out once, and a repeat is answered with what became of the
    first, unless that was refused. Raises `ReasonMissing`, `ActsWhileApplying`, or whatever the operation is refused
    with.
    """
    handler_guard.refuse_to("operate")
    record = OperatorAction(
        operation=asked.name,
        target=asked.target,
        details=_details(asked),
        reason=reason,
        by=by,
        outcome="was begun, and nobody heard of its end",
        request_id=request_id,
    )
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError:
        first = performed(request_id)
        if first is None:
            raise
        return first
    try:
        outcome = _carry_out(asked, by, reason)
        record.outcome = str(outcome)
    except Exception as error:
        record.refused = True
        record.outcome = str(error) if isinstance(error, EventstoreError) else f"failed: {describe(error)}"
        raise
    finally:
        record.save(update_fields=["outcome", "refused"])
        log.info("operated", operation=asked.name, target=asked.target, by=by, outcome=record.outcome)
    return outcome


def performed(request_id: UUID | None) -> str | None:
    """What was done for a request; None where nothing was, or it was refused."""
    found = OperatorAction.objects.filter(request_id=request_id, refused=False) if request_id else None
    return found.values_list("outcome", flat=True).first() if found is not None else None


def _carry_out(asked: Operation, by: str, reason: str) -> str:
    if asked.needs_reason and not reason.strip():
        raise ReasonMissing
    return asked.carry_out(by=by, reason=reason)


def _details(asked: Operation) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(asked)
    del details["target"]
    return details
