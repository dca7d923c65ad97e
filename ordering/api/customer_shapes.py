"""What a customer is made of: as the API takes it, and as a file does that is imported."""

import re
from datetime import date, timedelta
from typing import Any, cast

from django.utils import timezone
from rest_framework import serializers

from ordering.api.serializers import ChosenId, Email, Line, Shape
from ordering.domain.values import Address

DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
FIRST_TO_WAKE = timedelta(hours=14)
"""So far ahead of UTC is the zone in which a day begins first."""


class AddressShape(Shape):
    street = Line(max_length=200)
    postal_code = Line(max_length=20)
    city = Line(max_length=100)
    country = serializers.RegexField("^[A-Z]{2}$", help_text="ISO 3166, two letters")


class BirthDate(serializers.DateField):
    """A day that has come somewhere on earth, written as 1815-12-10 and in no other form of ISO 8601."""

    default_error_messages = {
        "invalid": "A day such as 1815-12-10.",
        "future": "Nobody was born in the future.",
    }

    def to_internal_value(self, value: Any) -> date:
        if not (isinstance(value, str) and DAY.fullmatch(value)):
            self.fail("invalid")
        day: date = super().to_internal_value(value)
        if day > (timezone.now() + FIRST_TO_WAKE).date():
            self.fail("future")
        return day


class NewCustomerShape(Shape):
    id = ChosenId(required=False)
    name = Line(max_length=200)
    email = Email()
    birth_date = BirthDate(required=False, allow_null=True)
    address = AddressShape(required=False, allow_null=True)


def typed(values: dict[str, Any]) -> dict[str, Any]:
    """The same, the address as the business knows it."""
    address = cast("dict[str, str] | None", values.get("address"))
    return {**values, "address": Address(**address)} if address else values
