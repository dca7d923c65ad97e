"""JSON in, strictly: UTF-8, of bounded size and depth, each name once."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from ordering.api.body_limit import LARGEST


class Json(BaseParser):
    """A JSON text of RFC 8259. Raises `ParseError`, and `RequestDataTooBig` beyond the limit."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise RequestDataTooBig
        return decode(body)


class MergePatch(Json):
    """RFC 7396."""

    media_type = "application/merge-patch+json"


def decode(body: bytes) -> Any:
    """The value of a JSON text in which no object names a member twice. Raises `ParseError`."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise ParseError("The body is not JSON.") from error


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Of a name that comes twice no two readers need to take the same value."""
    if len(found := dict(members)) < len(members):
        raise ValueError
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
