"""The same calls as plain view sets: rows are read, and changed in place. Tokens, the shapes of bodies and problems are
those of Boxoffice.
"""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.generics import get_object_or_404
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from benchmarks.plain import steps
from benchmarks.plain.models import Customer, Order
from ordering.api.serializers import Count, Email, Line, MoneyShape, Shape, Text, shaped


class Refused(APIException):
    status_code = 409
    default_code = "not-allowed"


class CustomerShape(Shape):
    id = serializers.IntegerField(read_only=True)
    name = Line(max_length=200)
    email = Email()


class LineShape(Shape):
    seat_type = Text(max_length=64)
    quantity = Count(min_value=1, max_value=1000)


class PlaceShape(Shape):
    customer_id = Count()
    conference_id = Count()
    lines: Any = LineShape(many=True, allow_empty=False, max_length=50)  # type: ignore[call-arg]  # many=True makes a list


class PricedLineShape(Shape):
    seat_type = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price = serializers.DecimalField(20, 2)


class PaymentShape(Shape):
    id = serializers.IntegerField()
    status = serializers.CharField()
    amount = MoneyShape(source="*")
    provider = serializers.CharField()
    reference = serializers.CharField()


class OrderShape(Shape):
    id = serializers.IntegerField()
    number = serializers.CharField()
    customer_id = serializers.IntegerField()
    conference_id = serializers.IntegerField()
    status = serializers.CharField()
    lines = PricedLineShape(many=True)
    total = serializers.DecimalField(20, 2)
    currency = serializers.CharField()
    placed_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    payment = PaymentShape()


class Customers(GenericViewSet[Customer]):
    """Everybody sees and changes themselves."""

    def get_queryset(self) -> QuerySet[Customer]:
        return Customer.objects.filter(user=self.request.user.pk)

    def partial_update(self, request: Request, pk: str) -> Response:
        with transaction.atomic():
            customer = get_object_or_404(self.get_queryset().select_for_update(), pk=pk)
            changed = CustomerShape(data=request.data, partial=True)
            changed.is_valid(raise_exception=True)
            for name, value in changed.validated_data.items():
                setattr(customer, name, value)
            customer.save(update_fields=changed.validated_data)
        return Response(CustomerShape(customer).data)


class Orders(RetrieveModelMixin, GenericViewSet[Order]):
    """Everybody sees their own, and orders for themselves."""

    serializer_class = OrderShape

    def get_queryset(self) -> QuerySet[Order]:
        own = Order.objects.filter(customer__user=self.request.user.pk)
        return own.select_related("payment").prefetch_related("lines")

    def create(self, request: Request) -> Response:
        values = shaped(PlaceShape, request.data)
        customer = get_object_or_404(Customer, user=request.user.pk, pk=values["customer_id"])
        quantities = {line["seat_type"]: line["quantity"] for line in values["lines"]}
        try:
            order = steps.order(customer, values["conference_id"], quantities, f"customer:{customer.pk}")
        except steps.NotAllowed as refusal:
            raise Refused(str(refusal)) from None
        return Response(OrderShape(order).data, status=201)
