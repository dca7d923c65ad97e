"""Endpoints of webhooks: where other systems are told of events, and what became of each."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as InvalidValue
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore.errors import Refused, StreamNotFound
from eventstore.events import catalogue
from ordering.api.dry_run import NoDryRunQuery
from ordering.api.pagination import page
from ordering.api.refusals import refuses
from ordering.api.serializers import Line, PageQuery, Shape, shaped
from ordering.api.views import View, etag_of
from sagas.models import LONGEST_URL, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from sagas.webhooks import endpoints
from sagas.webhooks.endpoints import MOST_TYPES, EndpointOff, SecretUnreadable, UnderWay
from sagas.webhooks.operations import ADD, CHANGE, DELETE, EVENTS, RESEND, TEST


class EndpointRefused(APIException):
    """What can't be done to an endpoint as it is."""

    status_code = 409

    def __init__(self, refusal: Refused) -> None:
        super().__init__(str(refusal), refusal.code)


class Url(Line):
    """An address that webhooks may be sent to."""

    contract = {"format": "uri"}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        value = super().run_validation(data)
        try:
            endpoints.check_url(value)
        except Refused as refusal:
            raise ValidationError(str(refusal), refusal.code) from None
        return value


class Owner(Line):
    """An address of mail."""

    contract = {"format": "email"}

    default_error_messages = {"invalid_email": "Enter a valid email address."}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        value = super().run_validation(data)
        try:
            validate_email(value)
        except InvalidValue:
            self.fail("invalid_email")
        return value


class EventType(Line):
    """The stored name of a type of events."""

    default_error_messages = {"unknown": "No event is called {name}."}

    @property
    def contract(self) -> dict[str, Any]:
        return {"enum": sorted(declared.stored for declared in catalogue)}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if endpoints.unknown_types([name]):
            self.fail("unknown", name=name)
        return name


class Switch(serializers.BooleanField):
    """Yes or no, written as JSON has it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class EndpointChangesShape(Shape):
    url = Url(required=False, max_length=LONGEST_URL)
    types: Any = serializers.ListField(
        child=EventType(max_length=100), required=False, max_length=MOST_TYPES, help_text="of events; empty for all"
    )
    description = Line(required=False, allow_blank=True, max_length=500)
    owner = Owner(required=False, max_length=254, help_text="the address of who is told when it is switched off")
    enabled = Switch(required=False)

    def validate_types(self, names: list[str]) -> list[str]:
        return sorted(set(names))


class NewEndpointShape(EndpointChangesShape):
    url = Url(max_length=LONGEST_URL)
    owner = Owner(max_length=254, help_text="the address of who is told when it is switched off")


class EndpointShape(Shape):
    id = serializers.UUIDField()
    url = serializers.URLField()
    types: Any = serializers.ListField(child=serializers.CharField())
    description = serializers.CharField(allow_blank=True)
    owner = serializers.EmailField()
    enabled = serializers.BooleanField()
    switched_off_at = serializers.DateTimeField(allow_null=True, help_text="when it was, for failing; null otherwise")
    switched_off_for = serializers.CharField(allow_blank=True, help_text="why that was; empty otherwise")
    failing_since = serializers.DateTimeField(allow_null=True, help_text="since when it has taken nothing")
    created_at = serializers.DateTimeField()


class EndpointWithSecretShape(EndpointShape):
    secret = serializers.CharField(help_text="by which its webhooks are signed; shown here, and never again")


class EndpointPage(Shape):
    results = EndpointShape(many=True)
    next = serializers.URLField(allow_null=True)


class AttemptShape(Shape):
    at = serializers.DateTimeField()
    seconds = serializers.FloatField(help_text="until it was answered, or given up")
    code = serializers.IntegerField(allow_null=True, help_text="of HTTP; null where there was no answer")
    error = serializers.CharField(allow_blank=True, help_text="why there was none; empty otherwise")
    answer = serializers.CharField(allow_blank=True, help_text="how the body begins")


class WebhookDeliveryShape(Shape):
    id = serializers.IntegerField()
    type = serializers.CharField()
    position = serializers.IntegerField()
    stream_id = serializers.UUIDField()
    status = serializers.ChoiceField(WebhookDelivery.Status.choices)
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(help_text="when it is tried next, while it is pending")
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts: Any = AttemptShape(many=True, help_text="the latest of them, the last one last")


class WebhookDeliveryPage(Shape):
    results = WebhookDeliveryShape(many=True)
    next = serializers.URLField(allow_null=True)


class DeliveryQuery(PageQuery):
    status = serializers.ChoiceField(WebhookDelivery.Status.choices, required=False)
    type = serializers.CharField(required=False, max_length=100)


class TestAnswerShape(Shape):
    seconds = serializers.FloatField()
    code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    answer = serializers.CharField(allow_blank=True, help_text="how the body begins")


MOST_ATTEMPTS = 50
LATEST = Prefetch("log", WebhookAttempt.objects.order_by("-id")[:MOST_ATTEMPTS], to_attr="latest")
"""The latest attempts of each delivery, the last one first."""


class MayManage(IsAuthenticated):
    """Staff with the permissions that they need for the same in the admin."""

    def has_permission(self, request: Request, view: Any) -> bool:
        asked = view.permissions.get(str(request.method), ["sagas.view_webhookendpoint"])
        user = request.user
        return super().has_permission(request, view) and bool(user.is_staff and user.has_perms(asked))


class EndpointView(View):
    """What the calls about endpoints share. `permissions` are those that each method takes."""

    scope = "webhooks"
    permission_classes = [MayManage]
    permissions: dict[str, list[str]] = {}
    write_query = NoDryRunQuery
    records = False

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(EndpointRefused(exc) if isinstance(exc, Refused) else exc)

    def endpoint(self, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint:
        """Raises `StreamNotFound`."""
        rows = WebhookEndpoint.objects.select_for_update() if lock else WebhookEndpoint.objects
        found = rows.filter(pk=endpoint_id).first()
        if found is None:
            raise StreamNotFound
        return found

    def current(self) -> str | None:
        if "endpoint_id" not in self.kwargs:
            return None
        return _tag(self.endpoint(self.kwargs["endpoint_id"]))


class WebhookEndpoints(EndpointView):
    reads = ()
    query = PageQuery
    permissions = {"POST": [ADD, EVENTS]}

    @extend_schema(operation_id="webhook_endpoints_list", parameters=[PageQuery], responses={200: EndpointPage})
    def get(self, request: Request) -> Response:
        """All endpoints, the oldest first."""
        return page(request, WebhookEndpoint.objects.all(), _shown, **self.asked)

    @refuses(SecretUnreadable)
    @extend_schema(request=NewEndpointShape, responses={201: EndpointWithSecretShape})
    def post(self, request: Request) -> Response:
        """Makes one, which is told of what is recorded from now on."""
        values = shaped(NewEndpointShape, request.data)
        self.must_be_as_seen()
        endpoint_id = self.new_id()
        with transaction.atomic():
            found = WebhookEndpoint.objects.filter(pk=endpoint_id).first()
            if found is not None:  # by the same call, whose answer was lost
                secret = endpoints.secret_of(found)
            else:
                found = WebhookEndpoint(
                    id=endpoint_id, created_by=request.user.get_username(), secret_unseen=False, **values
                )
                secret = endpoints.create(found)
                found.refresh_from_db()
        location = request.build_absolute_uri(f"{request.path}/{found.pk}")
        return Response(
            {**_shown(found), "secret": secret}, status=201, headers={"Location": location, "ETag": _tag(found)}
        )


class OneWebhookEndpoint(EndpointView):
    reads = ()
    tagged = True
    permissions = {"PATCH": [CHANGE, EVENTS], "DELETE": [DELETE]}

    @extend_schema(responses={200: EndpointShape})
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """An endpoint, and how it does."""
        return self.shown(_shown(self.endpoint(endpoint_id)), 0)

    @extend_schema(request=EndpointChangesShape, responses={200: EndpointShape})
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Changes what is said. One that is switched on is told of what is recorded from then on, after what was kept
        for it.
        """
        values = shaped(EndpointChangesShape, request.data)
        with transaction.atomic():
            endpoint = self.endpoint(endpoint_id, lock=True)
            self.must_be_as_seen()
            endpoints.change(endpoint, **values)
        endpoint.refresh_from_db()
        return Response(_shown(endpoint), headers={"ETag": _tag(endpoint)})

    @extend_schema(responses={204: None})
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Forgets it, with all that is kept for it."""
        with transaction.atomic():
            endpoint = self.endpoint(endpoint_id, lock=True)
            self.must_be_as_seen()
            endpoint.delete()
        return Response(status=204)


class SecretRotation(EndpointView):
    permissions = {"POST": [CHANGE]}

    @extend_schema(request=None, responses={200: EndpointWithSecretShape})
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Draws another secret. For a while webhooks are signed by the former one too."""
        shaped(Shape, request.data)
        with transaction.atomic():
            endpoint = self.endpoint(endpoint_id, lock=True)
            self.must_be_as_seen()
            secret = endpoints.rotate(endpoint, shown=True)
        endpoint.refresh_from_db()
        return Response({**_shown(endpoint), "secret": secret}, headers={"ETag": _tag(endpoint)})


class WebhookTest(EndpointView):
    permissions = {"POST": [TEST]}

    @refuses(SecretUnreadable)
    @extend_schema(request=None, responses={200: TestAnswerShape})
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Sends a message of the type `webhook.test` now, and tells what was answered."""
        shaped(Shape, request.data)
        endpoint = self.endpoint(endpoint_id)
        self.must_be_as_seen()
        answer = endpoints.send_test(endpoint)
        told = {"seconds": answer.seconds, "code": answer.code, "error": answer.error, "answer": answer.body}
        return Response(TestAnswerShape(told).data)


class WebhookDeliveries(EndpointView):
    reads = ()
    query = DeliveryQuery
    permissions = {"GET": ["sagas.view_webhookdelivery"]}

    @extend_schema(
        operation_id="webhook_deliveries_list", parameters=[DeliveryQuery], responses={200: WebhookDeliveryPage}
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """What became of each event on its way to an endpoint, the newest first."""
        how = {name: self.asked.pop(name) for name in ("limit", "cursor")}
        rows = WebhookDelivery.objects.filter(endpoint=self.endpoint(endpoint_id), **self.asked)
        return page(request, rows.prefetch_related(LATEST), _delivery, **how)


class WebhookResending(EndpointView):
    permissions = {"POST": [RESEND]}

    @refuses(EndpointOff, UnderWay)
    @extend_schema(request=None, responses={202: WebhookDeliveryShape})
    def post(self, request: Request, endpoint_id: UUID, delivery_id: int) -> Response:
        """Has one sent again, whatever became of it."""
        shaped(Shape, request.data)
        self.endpoint(endpoint_id)
        self.must_be_as_seen()
        asked: QuerySet[WebhookDelivery] = WebhookDelivery.objects.filter(pk=delivery_id, endpoint=endpoint_id)
        if not endpoints.resend(asked):
            raise StreamNotFound
        return Response(_delivery(asked.prefetch_related(LATEST).get()), status=202)


def _shown(row: WebhookEndpoint) -> dict[str, Any]:
    shown: dict[str, Any] = EndpointShape(row).data
    return shown


def _tag(row: WebhookEndpoint) -> str:
    return etag_of(_shown(row), 0)


def _delivery(row: WebhookDelivery) -> dict[str, Any]:
    latest: list[WebhookAttempt] = row.latest  # type: ignore[attr-defined]  # prefetched
    known = {
        name: getattr(row, name)
        for name in ("id", "type", "position", "stream_id", "status", "created_at", "due_at", "finished_at")
    }
    shown: dict[str, Any] = WebhookDeliveryShape({**known, "attempts": latest[::-1]}).data
    return shown
