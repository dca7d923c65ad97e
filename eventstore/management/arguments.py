"""What somebody typed, judged once it is parsed: so programs are told of it like of any other refusal."""

import math
import re
from argparse import ArgumentParser
from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

from eventstore.errors import Refused, UnknownSubscriber
from eventstore.models import SubscriberRow
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank

M = TypeVar("M", bound=Model)

MEANT: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    datetime: "a time, such as 2030-01-31T12:00",
}

DIGITS = 18
"""A number of more is no position, and none that the database knows."""


def add_limit(parser: ArgumentParser) -> None:
    parser.add_argument("--limit", default=50, metavar="N", help="show at most so many (%(default)s)")


def limit(options: dict[str, Any]) -> int:
    """At least one. Raises `Refused`."""
    return at_least_one("--limit", options["limit"])


def at_least_one(option: str, text: Any) -> int:
    """Raises `Refused`."""
    number: int = value(option, text, int)
    if number < 1:
        raise Refused(f"{option}: at least 1.")
    return number


def above_zero(option: str, text: Any) -> float | None:
    """A number, if one is given. Raises `Refused`."""
    number: float | None = value(option, text, float)
    if number is not None and not 0 < number < math.inf:
        raise Refused(f"{option}: more than 0.")
    return number


def key(options: dict[str, Any]) -> str | None:
    """The key, if one is given: an empty one, as of a variable that is not set, is none. Raises `Refused`."""
    found: str | None = value("--key", options["key"], str)
    return found


def value(option: str, text: Any, kind: type) -> Any:
    """What was typed for an option, as a value of this kind; a time without a zone is one of Django's. What a program
    passed is taken as it is. Raises `Refused`.
    """
    if not isinstance(text, str):
        return text
    if not text:
        raise Refused(f"{option} is empty.")
    try:
        return _parsed(text, kind)
    except OverflowError as error:
        raise Refused(f"{option}: {text!r} is out of range.") from error
    except ValueError as error:
        raise Refused(f"{option}: {text!r} is not {MEANT[kind]}.") from error


def position_or_time(option: str, text: str) -> int | datetime:
    """A position, if it is all digits, else a time. Raises `Refused`."""
    found: int | datetime = value(option, text, int if re.fullmatch(rf"\d{{1,{DIGITS}}}", text) else datetime)
    return found


def one_of(option: str, text: str | None, known: Collection[str]) -> str | None:
    """One of these words, or nothing. Raises `Refused`."""
    if text is not None and text not in known:
        raise Refused(f"{option}: {text!r} is none of {', '.join(known)}.")
    return text


def named(name: str, rank: Rank) -> str:
    """The name of a subscriber of this kind. Raises `UnknownSubscriber`."""
    ranks = {subscriber.name: subscriber.rank for subscriber in registry}
    wanted = rank.name.lower()
    if name not in ranks:
        raise UnknownSubscriber(f"No {wanted} is declared as {name!r}.")
    if ranks[name] is not rank:
        raise UnknownSubscriber(f"{name!r} is no {wanted}, it is one of the {ranks[name].name.lower()}s.")
    return name


def kept(name: str, rank: Rank) -> str:
    """The name of a subscriber of this kind that has a row, declared or not. Raises `UnknownSubscriber`."""
    if not SubscriberRow.objects.filter(subscriber=name, rank=rank).exists():
        raise UnknownSubscriber(f"No {rank.name.lower()} called {name!r} has ever followed the log.")
    return name


def of_subscriber(name: str | None, rank: Rank, rows: QuerySet[M], field: str) -> QuerySet[M]:
    """Those of these rows that belong to a subscriber of this kind, if one is named. Raises `UnknownSubscriber`."""
    return rows if name is None else rows.filter(**{field: named(name, rank)})


def _parsed(text: str, kind: type) -> Any:
    if kind is datetime:
        return _moment(text)
    if kind is int:
        return _whole(text)
    return _finite(text) if kind is float else kind(text)


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 10**DIGITS:
        raise OverflowError
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return timezone.localtime(moment if moment.tzinfo else timezone.make_aware(moment))
