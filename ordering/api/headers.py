"""The headers of the contract: what may be sent with a call, and what comes with an answer."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS

from ordering.api import idempotency, min_position
from ordering.api.serializers import PageQuery
from ordering.api.views import View

TAGS = "One or more tags with commas between them, or `*`."
POSITION = {"type": "integer", "format": "int64", "minimum": 0, "maximum": min_position.HIGHEST}
SECONDS = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}


def _asked(name: str, schema: Any, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=description)


CORRELATION = _asked("X-Correlation-Id", TEXT, "Taken if it is a UUID, else one is made; stored with all that follows.")
IF_MATCH = _asked("If-Match", TEXT, f"Only while what is shown has this tag, else 412. {TAGS}")
IF_NONE_MATCH = _asked("If-None-Match", TEXT, f"304 while what is shown has this tag. {TAGS}")
KEY = _asked(
    idempotency.HEADER,
    {"type": "string", "pattern": f"^{idempotency.KEY.pattern}$"},
    "Drawn by the client: with the same key this is done once, and answered as the first time.",
)
READ = [
    _asked(
        min_position.HEADER,
        POSITION,
        "A position of the log, which what is read must have come to: waits for it, and answers 202 if that takes too "
        "long.",
    ),
    _asked(min_position.EPOCH, UUID, "As a write answered it: 409 `log-restored` if positions mean others by now."),
]

TOLD: dict[str, dict[str, Any]] = {
    "X-Correlation-Id": {
        "description": "Finds in the log all that this call did; of a repeat, what the first call did.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "ETag": {"description": "Names what is shown, for `If-Match` and `If-None-Match`.", "schema": TEXT},
    "Event-Position": {
        "description": "The last position of what was recorded, and of what followed from it by now.",
        "schema": POSITION,
    },
    "Log-Epoch": {
        "description": "The name of the log that has this position.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "Location": {"description": "Where to read what was made.", "schema": {"type": "string", "format": "uri"}},
    "Link": {"description": '`rel="next"` of a list, `rel="deprecation"` of what is deprecated.', "schema": TEXT},
    "Retry-After": {"description": "In how many seconds to ask again.", "schema": SECONDS},
    "Idempotent-Replayed": {
        "description": "Of a repeat: this is what the first call was answered.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": TEXT},
    "Deprecation": {
        "description": "Since when this call, or something that it shows, is not to be used any more (RFC 9745).",
        "schema": {"type": "string", "pattern": "^@-?[0-9]+$"},
    },
    "Sunset": {"description": "When it will be gone, if that is known (RFC 8594).", "schema": TEXT},
}
"""Each by its name, as the components of the contract have it."""


def asked(view: View, method: str) -> Iterator[OpenApiParameter]:
    """The headers that mean something to a call."""
    yield CORRELATION
    if view.compares(method):
        yield IF_MATCH
    if method in SAFE_METHODS:
        yield from READ
        if view.tagged:
            yield IF_NONE_MATCH
    elif view.takes_key:
        yield KEY


IN_FRONT = {408, 413}
"""What is answered while a body comes, before anybody knows what was called."""


def told(view: View, method: str, status: int) -> list[str]:
    """The names of the headers that an answer has, or may have."""
    reads, done = method in SAFE_METHODS, status < 300
    own = view.deprecation_of(method) if status not in IN_FRONT else None
    deprecated = [own] if own else [*view.shows.deprecated.values()] if status == 200 else []
    rules = {
        "X-Correlation-Id": True,
        "ETag": view.compares(method) and (status in {200, 304} if reads else done),
        "Event-Position": (not reads and done and view.records)
        or (status in {200, 304} and "as_of" in view.query().fields),
        "Log-Epoch": not reads and done and view.records,
        "Location": status == 201 and view.takes_key,
        "Link": (status in {200, 304} and reads and issubclass(view.query, PageQuery)) or bool(deprecated),
        "Retry-After": status in {202, 409, 429, 503},
        "Idempotent-Replayed": not reads and view.takes_key and (done or status == 409),
        "WWW-Authenticate": status == 401,
        "Deprecation": bool(deprecated),
        "Sunset": any(each.sunset for each in deprecated),
    }
    return [name for name, has in rules.items() if has]
