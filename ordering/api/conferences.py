"""Conferences: what is on sale, for anyone to read."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import repository
from ordering.api.pagination import page
from ordering.api.serializers import MoneyShape, PageQuery, PendingShape, Shape
from ordering.api.views import View
from ordering.domain.conference import ConferenceSeats
from ordering.domain.terms import CancellableUntil, Unit
from ordering.models import ConferenceSummary
from ordering.models.conference import counted
from ordering.projections.conference import SeatAvailability
from ordering.providers.registry import offered


class SalesShape(Shape):
    opens_at = serializers.DateTimeField()
    closes_at = serializers.DateTimeField()


class PaymentTermsShape(Shape):
    within = serializers.IntegerField()
    unit = serializers.ChoiceField([unit.value for unit in Unit], help_text="days end when that day ends there")
    last_day = serializers.DateField(allow_null=True, help_text="no order is to be paid after it")


class CancellationRuleShape(Shape):
    until = serializers.ChoiceField([until.value for until in CancellableUntil])
    hours = serializers.IntegerField(help_text="before the start, if it is until the start")
    moment = serializers.DateTimeField(allow_null=True)
    fixed = MoneyShape(allow_null=True)
    percent = serializers.IntegerField(help_text="of what the order costs")
    per_seat = MoneyShape(allow_null=True, help_text="for each seat that costs something")


class SeatTypeShape(Shape):
    code = serializers.CharField()
    name = serializers.CharField()
    price = MoneyShape()
    capacity = serializers.IntegerField()
    available = serializers.IntegerField()
    max_per_order = serializers.IntegerField()
    min_per_order = serializers.IntegerField(help_text="of an order that has any")


class ConferenceShape(Shape):
    id = serializers.UUIDField(source="conference_id")
    name = serializers.CharField()
    status = serializers.ChoiceField(ConferenceSummary.Status.choices)
    starts_at = serializers.DateTimeField()
    time_zone = serializers.CharField()
    place = serializers.CharField(allow_blank=True)
    sales = SalesShape(source="*")
    payment_terms = PaymentTermsShape(source="terms_of_payment")
    cancellation = CancellationRuleShape(source="cancellation_of_orders")
    providers = serializers.SerializerMethodField(
        help_text="the payment providers that orders can name, the usual one first"
    )
    max_per_customer = serializers.IntegerField(allow_null=True, help_text="seats, over all of a customer's orders")
    seat_types = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_providers(self, row: ConferenceSummary) -> list[str]:
        return offered(row.providers)

    @extend_schema_field(SeatTypeShape(many=True))
    def get_seat_types(self, row: ConferenceSummary) -> Any:
        return [SeatTypeShape.of(counted(each)) for each in row.seat_types.values()]


class ConferencePage(Shape):
    results = ConferenceShape(many=True)
    next = serializers.URLField(allow_null=True)


class Conferences(View):
    scope = "conferences"
    reads = (SeatAvailability,)
    permission_classes = [AllowAny]
    query = PageQuery

    @extend_schema(
        operation_id="conferences_list",
        parameters=[PageQuery],
        responses={200: ConferencePage, 202: PendingShape},
    )
    def get(self, request: Request) -> Response:
        """All conferences, the next one first."""
        return page(request, _shown(), _show, **self.asked)


class OneConference(View):
    scope = "conferences"
    reads = (SeatAvailability,)
    permission_classes = [AllowAny]
    tagged = True

    @extend_schema(responses={200: ConferenceShape, 202: PendingShape})
    def get(self, request: Request, conference_id: UUID) -> Response:
        """A conference, and how many seats are left."""
        row = _shown().filter(pk=conference_id).first()
        if row is None:
            repository.get(ConferenceSeats, conference_id)
            return self.pending(conference_id, SeatAvailability.name)
        return self.shown(_show(row), row.version)


def _shown() -> QuerySet[ConferenceSummary]:
    """Without what only staff are shown."""
    return ConferenceSummary.objects.defer("pools", "holds")


def _show(row: ConferenceSummary) -> Any:
    return ConferenceShape.of(row)
