"""The feed: the log as other systems follow it, a page at a time or without an end."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from eventstore import feed, identity
from eventstore.events import catalogue
from eventstore.feed import Entry, Page, Wanted
from ordering.api.min_position import LogRestored, refused
from ordering.api.refusals import refuses
from ordering.api.serializers import Identifier, Shape, Text
from ordering.api.tail import Interrupted, Tail
from ordering.api.views import View

HEARTBEAT = 15.0
"""After so many seconds without an event a stream says that it is alive, and how far it has come."""

LONGEST = 600.0
"""Seconds after which a stream ends, between two events: whoever comes again is asked again who they are."""

LONGEST_WAIT = 30

PIECE = 200
"""How many events are written at once."""

tail = Tail()


class LogFenced(APIException):
    """A copy of a log tells nobody of what the original may have told otherwise since."""

    status_code = 503
    default_code = "log-fenced"
    default_detail = "This log was restored or moved, and nobody has confirmed yet that it is the one."
    wait = 30


class Crowded(APIException):
    status_code = 503
    default_code = "unavailable"
    default_detail = "Too many follow the log here. Please try again."
    wait = 5


class MayFollow(IsAuthenticated):
    """Whoever may see the log in the admin."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) and request.user.has_perm("eventstore.view_storedevent")


class Names(Text):
    """Names with commas between them."""

    def __init__(self, help_text: str) -> None:
        super().__init__(required=False, max_length=4000, help_text=help_text)

    def to_internal_value(self, data: Any) -> Any:
        return frozenset(super().to_internal_value(data).split(","))


class Types(Names):
    """The stored names of types of events."""

    default_error_messages = {"unknown": "No event is called {name}."}

    def to_internal_value(self, data: Any) -> Any:
        names = super().to_internal_value(data)
        if unknown := names - {declared.stored for declared in catalogue}:
            self.fail("unknown", name=min(unknown))
        return names


class FeedQuery(Shape):
    after = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=2**63 - 1, help_text="a position, all later events are wanted"
    )
    limit = serializers.IntegerField(required=False, default=500, min_value=1, max_value=1000)
    wait = serializers.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=LONGEST_WAIT,
        help_text="for how many seconds to wait for an event, where there is none",
    )
    types = Types(help_text="stored names of events, with commas between them; without it all")
    categories = Names(help_text="of streams, with commas between them; without it all")
    stream = Identifier(required=False, default=None, help_text="the id of a stream; without it all")
    epoch = Identifier(required=False, default=None, help_text="the log that `after` belongs to, as it was told before")


class FeedEventShape(Shape):
    position = serializers.IntegerField()
    next = serializers.IntegerField(help_text="`after` for whoever has dealt with this one")
    event_id = serializers.UUIDField()
    stream_id = serializers.UUIDField()
    category = serializers.CharField()
    version = serializers.IntegerField(help_text="in its stream, from 1")
    type = serializers.CharField()
    schema_version = serializers.IntegerField(help_text="of the type: what its data is like")
    recorded_at = serializers.DateTimeField()
    actor = serializers.CharField()
    correlation_id = serializers.UUIDField()
    causation_id = serializers.UUIDField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # a field of that name
    metadata = serializers.DictField()


class FeedShape(Shape):
    epoch = serializers.UUIDField(help_text="names this log: positions of another mean other events")
    events = FeedEventShape(many=True)
    next = serializers.IntegerField(help_text="`after` of the next page")
    horizon = serializers.IntegerField(help_text="the position of the last event there is")


class Lines(BaseRenderer):
    """A JSON text a line."""

    media_type, format = "application/x-ndjson", "ndjson"
    begin = b"\n"

    @staticmethod
    def event(entry: Entry) -> bytes:
        return entry.content + b"\n"

    @staticmethod
    def heartbeat(position: int, horizon: int) -> bytes:
        return msgspec.json.encode({"next": position, "horizon": horizon}) + b"\n"


class ServerSent(BaseRenderer):
    """Server-sent events, as HTML has them: browsers resume them by themselves."""

    media_type, format = "text/event-stream", "sse"
    begin = b"retry: 1000\n\n"

    @staticmethod
    def event(entry: Entry) -> bytes:
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (entry.next, entry.type.encode(), entry.content)

    @staticmethod
    def heartbeat(position: int, horizon: int) -> bytes:
        """A comment. It moves the id, and is no event."""
        return b": at %d of %d\nid: %d\n\n" % (position, horizon, position)


class Feed(View):
    scope = "events"
    permission_classes = [MayFollow]
    renderer_classes = [JSONRenderer, Lines, ServerSent]
    http_method_names = ["get"]
    query = FeedQuery
    reads = ()

    @refuses(LogFenced)
    @extend_schema(
        operation_id="feed",
        parameters=[
            FeedQuery,
            OpenApiParameter(
                "Last-Event-ID",
                {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
                OpenApiParameter.HEADER,
                description="Goes before `after`.",
            ),
        ],
        responses={
            (200, "application/json"): FeedShape,
            (200, "application/x-ndjson"): OpenApiResponse(FeedEventShape, description="One a line, without an end."),
            (200, "text/event-stream"): OpenApiResponse(FeedEventShape, description="One an event, without an end."),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """The events of the log in order of position, for those who may see it in the admin: a page, or with `Accept:
        application/x-ndjson` or `text/event-stream` all that come, for ten minutes or until the client leaves.
        """
        epoch, after = epoch_here(self.asked["epoch"]), self.after()
        asked = self.asked
        wanted = Wanted(asked.get("types", frozenset()), asked.get("categories", frozenset()), asked["stream"])
        page = feed.read(after, wanted, asked["limit"])
        if page.horizon < after:
            raise refused("There is no such position in this log.", "beyond-log")
        accepted = request.accepted_renderer
        form = accepted if isinstance(accepted, Lines | ServerSent) else None
        if form is None and (page.entries or not asked["wait"]):
            return _told(HttpResponse(_content(epoch, page.entries, page.next, page.horizon), JSONRenderer.media_type))
        if tail.is_full:
            raise Crowded
        if form:
            return _told(StreamingHttpResponse(_streamed(form, epoch, after, wanted), content_type=form.media_type))
        awaited = _awaited(epoch, page, wanted, asked["limit"], asked["wait"])
        return _told(StreamingHttpResponse(awaited, content_type=JSONRenderer.media_type))

    def after(self) -> int:
        """Raises `ValidationError`."""
        last = self.request.headers.get("Last-Event-ID")
        if last is None:
            return int(self.asked["after"])
        if not (last.isascii() and last.isdigit() and len(last) < 19):
            raise refused("Last-Event-ID has to be a position of the log.")
        return int(last)


def epoch_here(named: UUID | None) -> UUID:
    """The name of this log, which is the one that is named, if any is. Raises `LogFenced` and `LogRestored`."""
    here = identity.epoch()
    if here is None:
        raise LogFenced
    if named not in (None, here):
        raise LogRestored
    return here


async def _awaited(epoch: UUID, page: Page, wanted: Wanted, limit: int, wait: int) -> AsyncGenerator[bytes]:
    """The page that follows this one, as soon as there is something on it."""
    with tail.following(epoch, page.next, wanted, limit) as follower:
        entries: Sequence[Entry] = ()
        with suppress(Interrupted):
            entries = await follower.more(wait)
        yield _content(epoch, entries, follower.next, follower.horizon)


async def _streamed(form: Lines | ServerSent, epoch: UUID, after: int, wanted: Wanted) -> AsyncGenerator[bytes]:
    """One is asked for the next piece once its client has taken the one before, so a slow one costs no more memory."""
    until = time.monotonic() + LONGEST
    with tail.following(epoch, after, wanted, PIECE) as follower, suppress(Interrupted):
        yield form.begin
        while time.monotonic() < until:
            entries = await follower.more(HEARTBEAT)
            yield b"".join(map(form.event, entries)) or form.heartbeat(follower.next, follower.horizon)


def _content(epoch: UUID, entries: Sequence[Entry], position: int, horizon: int) -> bytes:
    events = b",".join(entry.content for entry in entries)
    return b'{"epoch":"%s","events":[%s],"next":%d,"horizon":%d}' % (str(epoch).encode(), events, position, horizon)


def _told(response: HttpResponseBase) -> HttpResponseBase:
    """No proxy is to keep it, nor to gather its pieces."""
    response["Cache-Control"], response["X-Accel-Buffering"] = "no-store", "no"
    return response
