"""Lists by keyset: a page begins after the last row of the one before, however many rows there are."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from eventstore import store
from eventstore.codec import Recorded
from eventstore.models import StoredEvent


class Page(NamedTuple):
    """What is shown of it, and the address of the next one."""

    results: list[Any]
    next: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {"Link": f'<{self.next}>; rel="next"'} if self.next else {}

    def response(self) -> Response:
        return Response(self._asdict(), headers=self.headers)


def page(
    request: Request,
    rows: QuerySet[Any],
    show: Callable[[Any], Any],
    *,
    limit: int,
    cursor: str | None,
    look_up: Callable[[list[Any]], None] = lambda rows: None,
) -> Response:
    """A page in the order of the model, which names two fields in one direction, the second of them unique. `look_up`
    is told all rows before one is shown, so what they belong to is read at once.
    """
    ordering = [str(name) for name in rows.model._meta.ordering or ()]
    if cursor is not None:
        rows = rows.filter(_beyond(rows.model, ordering, cursor))
    found = list(rows.order_by(*ordering)[: limit + 1])
    shown = found[:limit]
    look_up(shown)
    values = [shown[-1].serializable_value(name.lstrip("-")) for name in ordering] if len(found) > limit else None
    return Page([show(row) for row in shown], _next(request, values)).response()


def page_of_stream(
    request: Request, stream_id: UUID, show: Callable[[Recorded], Any], *, limit: int, cursor: str | None
) -> Page:
    """A page of the events of a stream, in their order."""
    (after,) = (0,) if cursor is None else _values(StoredEvent, ["version"], cursor)
    found = store.read_stream_part(stream_id, after, limit + 1)
    shown = found[:limit]
    return Page([show(each) for each in shown], _next(request, [shown[-1].version] if len(found) > limit else None))


def _next(request: Request, last: list[Any] | None) -> str | None:
    """The address of the page that begins after these values, if there is one."""
    if last is None:
        return None
    cursor = urlsafe_b64encode(json.dumps(last, default=str).encode()).decode().rstrip("=")
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)


def _beyond(model: type[Model], ordering: list[str], cursor: str) -> Q:
    major, minor = (name.lstrip("-") for name in ordering)
    step = "lt" if ordering[0].startswith("-") else "gt"
    first, second = _values(model, [major, minor], cursor)
    # The redundant condition is the one that an index can begin with.
    return Q(**{f"{major}__{step}e": first}) & (Q(**{f"{major}__{step}": first}) | Q(**{f"{minor}__{step}": second}))


def _values(model: type[Model], names: list[str], cursor: str) -> list[Any]:
    try:
        values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fields: list[Any] = [model._meta.get_field(name) for name in names]
        return [_exact(field.clean(value, None)) for field, value in zip(fields, values, strict=True)]
    except (binascii.Error, ValueError, TypeError, OverflowError, InvalidValue):
        raise ValidationError({"cursor": [ErrorDetail("This is no cursor of ours.", "invalid")]}) from None


def _exact(value: Any) -> Any:
    """A time in UTC. Raises `ValueError` for one without a zone, and `OverflowError` for one that no calendar has."""
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError
    return value.astimezone(UTC)
