"""What a call can be refused with: what it says itself, and what all calls of its kind have in common."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS, AllowAny, IsAuthenticated

from eventstore.errors import ConcurrencyConflict, DomainError, Refused, StreamNotFound
from ordering.api.access import InsufficientScope
from ordering.api.idempotency import InProgress, KeyReused
from ordering.api.min_position import LogRestored
from ordering.api.problems import Problem
from ordering.api.views import PreconditionFailed, View
from ordering.brakes import Braked

Refusal = type[DomainError | Refused | exceptions.APIException | Braked | ConcurrencyConflict]
Method = TypeVar("Method", bound=Callable[..., Any])


def refuses(*errors: Refusal) -> Callable[[Method], Method]:
    """Declares what a method of a view refuses, beyond what all calls of its kind do: the rules by their classes."""

    def declare(method: Method) -> Method:
        method.__dict__["refuses"] = errors
        return method

    return declare


def of(view: View, method: str, *, about_one: bool) -> Mapping[int, list[str]]:
    """The codes by their status. `about_one` says whether its path names what it is about."""
    found: dict[int, set[str]] = defaultdict(set)
    shared = (_usual(view, method), _keyed(view, method))
    declared = getattr(getattr(view, method.lower()), "refuses", ())
    for status, code in (*(each for some in shared for each in some), *map(_told, declared)):
        found[status].add(code)
    if about_one:
        found[404].add(Problem.not_found().code)
    return {status: sorted(codes) for status, codes in sorted(found.items())}


def _usual(view: View, method: str) -> Iterator[tuple[int, str]]:
    """What stands in front of every view, and what its own attributes say."""
    for problem in (
        Problem.malformed(),
        Problem.unencrypted(),
        Problem.too_slow(),
        Problem.too_large(),
        Problem.broken(),
        Problem.crowded(),
    ):
        yield problem.status, problem.code
    yield 400, "invalid"
    yield _told(exceptions.NotAcceptable)
    permissions = {type(each) for each in view.get_permissions()}
    if view.get_authenticators():
        yield _told(exceptions.AuthenticationFailed)
    if permissions - {AllowAny}:
        yield _told(exceptions.NotAuthenticated)
    if permissions - {AllowAny, IsAuthenticated}:
        yield _told(exceptions.PermissionDenied)
    if view.scope is not None:
        yield _told(InsufficientScope)
    if view.get_throttles():
        yield _told(exceptions.Throttled)
    if method in SAFE_METHODS:
        yield _told(LogRestored)
    elif view.get_parsers() and (view.takes_key or method != "DELETE"):
        yield _told(exceptions.UnsupportedMediaType)


def _keyed(view: View, method: str) -> Iterator[tuple[int, str]]:
    """What is asked by headers: a tag, a key."""
    if view.compares(method):
        yield _told(PreconditionFailed)
    if method not in SAFE_METHODS and view.takes_key:
        yield _told(InProgress)
        yield _told(KeyReused)
    if method not in SAFE_METHODS and view.records:
        yield _told(ConcurrencyConflict)


def _told(error: Refusal) -> tuple[int, str]:
    """The status and the code with which it is told; see `problems`."""
    if issubclass(error, exceptions.APIException):
        return error.status_code, str(error.default_code).replace("_", "-")
    if issubclass(error, Braked):
        return 429, "throttled"
    if issubclass(error, StreamNotFound):
        return 404, error.code
    return (503 if issubclass(error, ConcurrencyConflict) else 409), error.code
