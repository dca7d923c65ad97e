"""What all calls share: strict queries and bodies, commands with their headers, and answers with theirs."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404
from django.utils.crypto import salted_hmac
from django.utils.http import parse_etags
from msgspec import json
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from eventstore import context, store
from eventstore.aggregates import Command
from eventstore.commands import Receipt, dispatch
from eventstore.errors import ConcurrencyConflict, StreamExists
from ordering.api import log_reads
from ordering.api.access import Caller
from ordering.api.serializers import Shape, shaped


class View(APIView):
    """A call of the API. `query` is the shape of what may follow the question mark."""

    query: type[Shape] = Shape
    http_method_names = ["get", "head", "post", "patch", "delete"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.asked = shaped(self.query, request.query_params.dict())

    @cached_property
    def caller(self) -> Caller:
        return Caller(self.request.user)

    def send(self, command: Command, *, command_id: UUID | None = None, if_version: int | None = None) -> Receipt:
        """Dispatch in the name of the caller, and only onto the version that `If-Match` names, if it names one."""
        if "If-Match" in self.request.headers:
            if_version = self._matched(command.stream_id)
        with context.acting(actor=self.caller.actor):
            return dispatch(command, command_id=command_id, if_version=if_version)

    def create(self, command: Command) -> Receipt:
        """Dispatch so that the same again is answered as the first time. Raises `StreamExists` for anything else."""
        try:
            with context.acting(actor=self.caller.actor):
                return dispatch(command, command_id=once(command))
        except ConcurrencyConflict:
            # Ids are unique over all kinds: this one names something of another kind.
            raise StreamExists from None

    def shown(self, body: Any, version: int) -> Response:
        """One resource as it was read; 304 for whoever has this version."""
        etag = f'"{version}"'
        known = parse_etags(self.request.headers.get("If-None-Match", ""))
        if known == ["*"] or etag in (each.removeprefix("W/") for each in known):
            return Response(status=304, headers={"ETag": etag})
        return Response(body, headers={"ETag": etag})

    def written(
        self, receipt: Receipt, body: Any, version: int, *, status: int = 200, location: str | None = None
    ) -> Response:
        """One resource as a command left it."""
        position = receipt.position or log_reads.last_position(receipt.stream_id)
        headers = {"ETag": f'"{version}"', "Event-Position": str(position)}
        if location:
            headers["Location"] = location
        return Response(body, status=status, headers=headers)

    def pending(self, stream_id: UUID, subscriber: str) -> Response:
        """It exists, but can't be read yet."""
        body = {
            "status": "pending",
            "position": log_reads.last_position(stream_id),
            "read_model_position": log_reads.checkpoint(subscriber),
        }
        return Response(body, status=202, headers={"Retry-After": "1"})

    def _matched(self, stream_id: UUID) -> int:
        tags = parse_etags(self.request.headers["If-Match"])
        current = store.version_of(stream_id)
        if tags == ["*"] or f'"{current}"' in tags:
            return current
        raise ConcurrencyConflict


class Nothing(View):
    """Whatever nobody has given a meaning."""

    authentication_classes = []
    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


def once(command: Command) -> UUID:
    """An id that the same command always has. Keyed, so that nobody guesses from it what the command says."""
    content = f"{command.stored} {json.encode(command).decode()}"
    digest = salted_hmac("ordering.api.once", content, secret=settings.SECRET_KEY, algorithm="sha256").digest()
    return UUID(bytes=digest[:16], version=5)
