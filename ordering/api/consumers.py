"""Consumers of the feed in other systems: they report where they are."""

import re
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ErrorDetail, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import feed
from eventstore.errors import StreamNotFound
from eventstore.models import Consumer
from eventstore.monitoring import consumers
from ordering import conf
from ordering.api.dry_run import NoDryRunQuery
from ordering.api.feed import LogFenced, MayFollow, epoch_here
from ordering.api.min_position import HIGHEST, LogRestored
from ordering.api.pagination import page
from ordering.api.refusals import refuses
from ordering.api.serializers import Count, Identifier, Lines, PageQuery, Shape, shaped
from ordering.api.views import PreconditionFailed, View, etag_of

NAME = re.compile("[-a-zA-Z0-9_]{1,100}")
NAMED = OpenApiParameter(
    "name", {"type": "string", "pattern": f"^{NAME.pattern}$"}, OpenApiParameter.PATH, description="of a consumer"
)
MOST_ERRORS = 20


class TooManyConsumers(APIException):
    status_code = 409
    default_code = "too-many-consumers"
    default_detail = "You have as many consumers as one may have. Delete those that are gone for good."


class ReportShape(Shape):
    position = Count(min_value=0, max_value=HIGHEST, help_text="`next` of the last event or page that was dealt with")
    epoch = Identifier(
        required=False, default=None, help_text="the log that this is a position of; without it this one"
    )
    errors: Any = serializers.ListField(
        child=Lines(max_length=500),
        required=False,
        default=list,
        max_length=MOST_ERRORS,
        help_text="what is wrong there; without any, nothing is",
    )


class ReportedShape(Shape):
    name = serializers.CharField()
    position = serializers.IntegerField()
    horizon = serializers.IntegerField(help_text="the position of the last event there is")
    behind = serializers.IntegerField(help_text="positions from here to the horizon")
    reported_at = serializers.DateTimeField()


class ConsumerShape(ReportedShape):
    by = serializers.CharField(help_text="who reports it, as events name their actors")
    epoch = serializers.UUIDField(help_text="the log that the position is one of")
    errors: Any = serializers.ListField(child=serializers.CharField())
    moved_at = serializers.DateTimeField(help_text="when its position last rose")


class ConsumerPage(Shape):
    results = ConsumerShape(many=True)
    next = serializers.URLField(allow_null=True)


class ConsumerView(View):
    """A report is repeated as often as one likes, so it takes no key."""

    scope = "consumers"
    permission_classes = [MayFollow]
    write_query = NoDryRunQuery
    records = False
    takes_key = False


class Consumers(ConsumerView):
    reads = ()
    query = PageQuery

    @extend_schema(operation_id="consumers_list", parameters=[PageQuery], responses={200: ConsumerPage})
    def get(self, request: Request) -> Response:
        """All that have reported, also those of others."""
        horizon = feed.end()
        return page(request, Consumer.objects.all(), lambda row: _shown(row, horizon), **self.asked)


class OneConsumer(ConsumerView):
    """Its tag is that of its report: how far behind it is moves with the log, so a read is never answered 304."""

    reads = ()
    http_method_names = [*View.http_method_names, "put"]

    @classmethod
    def compares(cls, method: str) -> bool:
        return True

    @extend_schema(parameters=[NAMED], responses={200: ConsumerShape})
    def get(self, request: Request, name: str) -> Response:
        """Where a consumer of the feed is."""
        row = _known(name)
        self._must_be_as_seen(row)
        return Response(_shown(row, feed.end()), headers={"ETag": _tag(row)})

    @refuses(LogFenced, LogRestored, TooManyConsumers)
    @extend_schema(parameters=[NAMED], request=ReportShape, responses={200: ReportedShape})
    def put(self, request: Request, name: str) -> Response:
        """Says where a consumer is. Its name belongs to whoever reported it first."""
        if not NAME.fullmatch(name):
            why = "A name has 1 to 100 letters, digits, hyphens and underscores."
            raise ValidationError({"name": [ErrorDetail(why, "invalid")]})
        told = shaped(ReportShape, request.data)
        epoch, position = epoch_here(told["epoch"]), told["position"]
        horizon = feed.end(position)
        if horizon < position:
            why = "There is no such position in this log."
            raise ValidationError({"position": [ErrorDetail(why, "beyond-log")]})
        row = Consumer(name=name, position=position, epoch=epoch, errors=told["errors"], by=self.caller.actor)
        with transaction.atomic():
            known = self._own(name)
            self._must_be_as_seen(known)
            if known is None:
                self._must_have_room()
            reported_at = consumers.report(name, position, epoch, row.errors, by=row.by)
        if reported_at is None:
            raise PermissionDenied
        row.reported_at = reported_at
        told = {"name": name, "position": position, "horizon": horizon, "behind": horizon - position}
        return Response(ReportedShape.of({**told, "reported_at": reported_at}), headers={"ETag": _tag(row)})

    @extend_schema(parameters=[NAMED], responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Forgets one of the caller's own: it is missed no longer, and its name is free."""
        with transaction.atomic():
            row = self._own(name)
            if row is None:
                raise StreamNotFound
            self._must_be_as_seen(row)
            row.delete()
        return Response(status=204)

    def _own(self, name: str) -> Consumer | None:
        """The caller's row, which nobody changes until the transaction ends. Raises `PermissionDenied`."""
        row = Consumer.objects.select_for_update().filter(pk=name).first() if NAME.fullmatch(name) else None
        if row is not None and row.by != self.caller.actor:
            raise PermissionDenied
        return row

    def _must_be_as_seen(self, row: Consumer | None) -> None:
        """Raises `PreconditionFailed`."""
        if self.seen is not None and (row is None or _tag(row) not in self.seen):
            raise PreconditionFailed

    def _must_have_room(self) -> None:
        """Raises `TooManyConsumers` where another name is one too many. Those of one user come one after the other."""
        User.objects.select_for_update(no_key=True).get(pk=self.caller.user.pk)
        most = conf.CONSUMERS_PER_USER.get()
        if most and Consumer.objects.filter(by=self.caller.actor).count() >= most:
            raise TooManyConsumers


def _known(name: str) -> Consumer:
    """Raises `StreamNotFound`."""
    found = Consumer.objects.filter(pk=name).first() if NAME.fullmatch(name) else None
    if found is None:
        raise StreamNotFound
    return found


def _shown(row: Consumer, horizon: int) -> dict[str, Any]:
    known = {name: getattr(row, name) for name in ("name", "position", "by", "epoch", "errors")}
    times = {"reported_at": row.reported_at, "moved_at": row.moved_at}
    return ConsumerShape.of({**known, **times, "horizon": horizon, "behind": max(0, horizon - row.position)})


def _tag(row: Consumer) -> str:
    """Of what was reported, and when."""
    return etag_of([row.by, row.epoch, row.errors, row.reported_at], row.position)
