"""Reading what one wrote: a read says from which position on its read models must have gone."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.response import Response

from eventstore import identity
from eventstore.subscriptions import visibility

HEADER, EPOCH = "Min-Position", "Log-Epoch"
DIGITS = re.compile("[0-9]{1,19}")
HIGHEST = 2**63 - 1
"""The last position that a log can have."""


class LogRestored(APIException):
    """Positions of one log mean nothing in another."""

    status_code = 409
    default_code = "log-restored"
    default_detail = "That is another log than this one, which was restored or moved since: its positions mean others."


class Lag(NamedTuple):
    """The position that was asked for, and the one that the slowest read model has come to, which is before it."""

    position: int
    read_model_position: int

    def response(self) -> Response:
        body = {"status": "pending", **self._asdict()}
        return Response(body, status=202, headers={"Retry-After": "1"})


def parse(value: str) -> int | None:
    """The position that the header names; None if that is none."""
    position = int(value) if DIGITS.fullmatch(value) else HIGHEST + 1
    return position if position <= HIGHEST else None


def lag(headers: Mapping[str, str], reads: Iterable[str]) -> Lag | None:
    """How far read models are behind what a read asks for; None if they aren't, or nothing is asked for. To be found
    out before rows are read, over the same connection. Raises `ValidationError` and `LogRestored`.
    """
    if EPOCH in headers:
        _check_epoch(headers[EPOCH])
    if HEADER not in headers:
        return None
    position = parse(headers[HEADER])
    if position is None:
        raise refused(f"{HEADER} has to be a position of the log, in digits.")
    names = tuple(reads)
    found = visibility.progress(names)
    if position > found.end:
        raise refused(f"{HEADER} is a position that the log has not come to.", "beyond-log")
    slowest = found.slowest(names)
    return Lag(position, slowest) if slowest < position else None


def refuse(headers: Mapping[str, str]) -> None:
    """Where nothing is read. Raises `ValidationError`."""
    for name in (HEADER, EPOCH):
        if name in headers:
            raise refused(f"{name} belongs to reads.", "unknown")


def refused(why: str, code: str = "invalid") -> ValidationError:
    """It is about the call as a whole: no part of its body."""
    return ValidationError([ErrorDetail(why, code)])


def written(position: int) -> dict[str, str]:
    """The headers that say from which position on it can be read what was written, and of which log."""
    epoch = identity.epoch()
    return {"Event-Position": str(position)} | ({EPOCH: str(epoch)} if epoch else {})


def _check_epoch(value: str) -> None:
    try:
        known = UUID(value)
    except ValueError:
        raise refused(f"{EPOCH} has to be a UUID.") from None
    if known != identity.epoch():
        raise LogRestored
