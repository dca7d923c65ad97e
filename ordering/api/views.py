"""What all calls share: strict queries and bodies, commands with their headers, and answers with theirs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from hashlib import sha256
from typing import Any, NoReturn
from uuid import UUID

from django.conf import settings
from django.http import Http404
from django.utils.crypto import salted_hmac
from django.utils.http import parse_etags
from msgspec import json, to_builtins
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from eventstore import context, store
from eventstore.aggregates import Command
from eventstore.commands import Receipt, chain_position, dispatch
from eventstore.errors import ConcurrencyConflict, StreamExists
from eventstore.preview import Preview, preview
from ordering.api import idempotency, log_reads, min_position
from ordering.api.access import Caller, must_be_in_scope
from ordering.api.deprecation import Deprecation
from ordering.api.dry_run import Foreseen, WouldRecordShape, WriteQuery
from ordering.api.idempotency import Once
from ordering.api.min_position import Lag
from ordering.api.serializers import Shape, shaped
from projections.projection import Projection

RACES = 10
"""How often a command is sent anew because its stream went on, and what the client has seen didn't change."""


class PreconditionFailed(APIException):
    """`If-Match` names nothing that is shown by now."""

    status_code = 412
    default_code = "version-conflict"
    default_detail = "This has changed since the version you know."


class View(APIView):
    """A call of the API. `query` is the shape of what may follow the question mark of a read, and `reads` are the read
    models that it shows: none where it shows the log itself. `write_query` is that of a write; `records` says whether
    it records anything, and `takes_key` whether it is carried out once for each `Idempotency-Key`. In a dry run `send`
    and `create` end the call, with an answer of the shape `would`. `tagged` says whether what a read shows has an
    `ETag`, and `shows` is the shape of a resource of which fields may be deprecated; `deprecation` is that of all its
    calls. `scope` says what a call is about, for tokens that may not do everything; None where each may call it.
    """

    scope: str | None
    query: type[Shape] = Shape
    write_query: type[Shape] = WriteQuery
    would: type[WouldRecordShape] = WouldRecordShape
    reads: tuple[type[Projection[Any]], ...] = ()
    records = True
    takes_key = True
    tagged = False
    shows: type[Shape] = Shape
    deprecation: Deprecation | None = None
    dry_run = False
    lag: Lag | None = None
    keyed_call: Once | None = None
    http_method_names = ["get", "head", "post", "patch", "delete"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        must_be_in_scope(request, self.scope)
        if twice := [name for name, values in request.query_params.lists() if len(values) > 1]:
            raise ValidationError({name: [ErrorDetail("This is asked for twice.", "repeated")] for name in twice})
        query = self.query if request.method in SAFE_METHODS else self.write_query
        self.asked = shaped(query, request.query_params.dict())
        self.dry_run = self.asked.pop("dry_run", False)
        if request.method in SAFE_METHODS:
            self.lag = min_position.lag(request.headers, self.read_models())
        else:
            min_position.refuse(request.headers)
            if self.takes_key and idempotency.HEADER in request.headers:
                idempotency.named(request) if self.dry_run else self._know_repeats(request)

    def _know_repeats(self, request: Request) -> None:
        """Stands before the method, which is looked up after this."""
        self.keyed_call, name = Once(request, self.caller.actor), str(request.method).lower()
        carry_out = getattr(self, name, self.http_method_not_allowed)
        setattr(self, name, partial(self._answered_once, self.keyed_call, carry_out))

    def _answered_once(self, call: Once, carry_out: Callable[..., Response], *args: Any, **kwargs: Any) -> Response:
        def answer() -> Response:
            try:
                return carry_out(*args, **kwargs)
            except Exception as error:
                return self.handle_exception(error)

        return call.answered(answer)

    def handle_exception(self, error: Exception) -> Response:
        return error.answer if isinstance(error, Foreseen) else super().handle_exception(error)

    @classmethod
    def read_models(cls) -> tuple[str, ...]:
        """The names of what a GET reads."""
        return tuple(projection.name for projection in cls.reads)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Of read models that are behind nothing is shown, and no tag compared. What isn't there, or is somebody
        else's, is found out all the same.
        """
        if self.lag and (response.status_code < 400 or response.status_code == PreconditionFailed.status_code):
            response = self.lag.response()
        if own := self.deprecation_of(str(request.method)):
            own.tell(request, response)
        elif response.status_code == 200 and not self.dry_run:
            for deprecation in self.shows.deprecated.values():
                deprecation.tell(request, response)
        return super().finalize_response(request, response, *args, **kwargs)

    @classmethod
    def deprecation_of(cls, method: str) -> Deprecation | None:
        """That of a call, if there is one."""
        carried_out = getattr(cls, "get" if method == "HEAD" else method.lower(), None)
        found: Deprecation | None = getattr(carried_out, "deprecation", cls.deprecation)
        return found

    @classmethod
    def compares(cls, method: str) -> bool:
        """Whether `If-Match` is minded."""
        return cls.tagged if method in SAFE_METHODS else cls.takes_key

    @cached_property
    def caller(self) -> Caller:
        return Caller(self.request.user)

    @cached_property
    def seen(self) -> list[str] | None:
        """The tags that `If-Match` names; None without it, and where it names any."""
        named = self.request.headers.get("If-Match")
        tags = None if named is None else parse_etags(named)
        return None if tags == ["*"] else tags

    def current(self) -> str | None:
        """The tag of what this call is about, as the log has it by now; None where that has no tag."""
        return None

    def must_be_as_seen(self) -> None:
        """Raises `PreconditionFailed`."""
        if self.seen is not None and self.current() not in self.seen:
            raise PreconditionFailed

    def new_id(self) -> UUID:
        """The id of what this call creates, if its client has chosen none."""
        return self.keyed_call.id if self.keyed_call else context.new_id()

    def send(self, command: Command, *, command_id: UUID | None = None, if_version: int | None = None) -> Receipt:
        """Dispatch in the name of the caller, and only while all is as the client has seen it, if `If-Match` says what
        that is. Raises `PreconditionFailed`.
        """
        if command_id is None and self.keyed_call:
            command_id = self.keyed_call.command_id(command)
        with context.acting(actor=self.caller.actor):
            if self.seen is None:
                return self._carry_out(command, command_id=command_id, if_version=if_version)
            for _ in range(RACES):
                version = if_version or store.version_of(command.stream_id)
                self.must_be_as_seen()
                with suppress(ConcurrencyConflict):
                    return self._carry_out(command, command_id=command_id, if_version=version)
        raise ConcurrencyConflict

    def create(self, command: Command) -> Receipt:
        """Dispatch so that the same again is answered as the first time. Raises `StreamExists` for anything else."""
        self.must_be_as_seen()
        try:
            with context.acting(actor=self.caller.actor):
                return self._carry_out(command, command_id=once(command))
        except ConcurrencyConflict:
            # Ids are unique over all kinds: this one names something of another kind.
            raise StreamExists from None

    def _carry_out(self, command: Command, **how: Any) -> Receipt:
        if self.dry_run:
            self.foresee(command, **how)
        return dispatch(command, **how)

    def foresee(self, command: Command, **how: Any) -> NoReturn:
        """Raises `Foreseen`, with what the command would record, or what it would be refused with."""
        raise Foreseen(self.would_record(preview(command, **how)))

    def would_record(self, foreseen: Preview) -> Response:
        """The answer to a dry run."""
        events = [{"type": event.stored, "data": to_builtins(event)} for event in foreseen.recorded]
        return Response({"would_record": events, **self.would_mean(foreseen)})

    def would_mean(self, foreseen: Preview) -> Mapping[str, Any]:
        """What only the answer to a dry run of this call says. Raises what the call would once this is recorded."""
        return {}

    def shown(self, body: Any, version: int, **more: str) -> Response:
        """One resource as it was read, with `more` headers; 304 for whoever has all of that."""
        etag = etag_of(body, version)
        if self.seen is not None and etag not in self.seen:
            raise PreconditionFailed
        known = parse_etags(self.request.headers.get("If-None-Match", ""))
        if known == ["*"] or etag in (each.removeprefix("W/") for each in known):
            return Response(status=304, headers={"ETag": etag, **more})
        return Response(body, headers={"ETag": etag, **more})

    def written(
        self,
        receipt: Receipt,
        body: Mapping[str, Any],
        version: int,
        *,
        status: int = 200,
        location: str | None = None,
        **more: Any,
    ) -> Response:
        """One resource as a command left it, and what only the answer to that command says `more`."""
        # Asked once the body is made, so that no read from there on shows less.
        position = chain_position(receipt) or log_reads.last_position(receipt.stream_id)
        headers = {"ETag": etag_of(body, version), **min_position.written(position)}
        if location:
            headers["Location"] = location
        return Response({**body, **more}, status=status, headers=headers)

    def pending(self, stream_id: UUID, subscriber: str) -> Response:
        """It exists, but can't be read yet."""
        return Lag(log_reads.last_position(stream_id), log_reads.checkpoint(subscriber)).response()


class Nothing(View):
    """Whatever nobody has given a meaning."""

    scope = None
    authentication_classes = []
    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


def etag_of(body: Any, version: int) -> str:
    """Another one for all that is shown otherwise, whatever made the difference: what is shown of one stream follows
    from others too, and from settings and code.
    """
    digest = sha256(json.encode(body, order="deterministic")).hexdigest()[:16]
    return f'"{version}-{digest}"'


def once(command: Command) -> UUID:
    """An id that the same command always has. Keyed, so that nobody guesses from it what the command says; while one
    key takes the place of another, what was carried out under a fallback has its id.
    """
    content = f"{command.stored} {json.encode(command).decode()}"
    first, *others = (
        UUID(bytes=salted_hmac("ordering.api.once", content, secret=key, algorithm="sha256").digest()[:16], version=5)
        for key in (settings.EVENTSTORE_CLAIM_KEY, *settings.EVENTSTORE_CLAIM_KEY_FALLBACKS)
    )
    return next(filter(store.was_carried_out, others), first)
