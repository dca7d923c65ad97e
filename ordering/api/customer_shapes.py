"""What a customer is made of: as the API takes it, and as a file does that is imported."""

from typing import Any, cast

from rest_framework import serializers

from ordering.api.serializers import Email, Identifier, Shape, Text
from ordering.domain.values import Address


class AddressShape(Shape):
    street = Text(max_length=200)
    postal_code = Text(max_length=20)
    city = Text(max_length=100)
    country = serializers.RegexField("^[A-Z]{2}$", help_text="ISO 3166, two letters")


class NewCustomerShape(Shape):
    id = Identifier(required=False)
    name = Text(max_length=200)
    email = Email()
    birth_date = serializers.DateField(required=False, allow_null=True)
    address = AddressShape(required=False, allow_null=True)


def typed(values: dict[str, Any]) -> dict[str, Any]:
    """The same, the address as the business knows it."""
    address = cast("dict[str, str] | None", values.get("address"))
    return {**values, "address": Address(**address)} if address else values
