"""The shapes of bodies and queries: every error at once, an unknown field is one, nothing is taken for another type."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from ordering.api.deprecation import Deprecation
from ordering.domain.errors import InvalidEmail, TooManyDecimals, UnknownCurrency, UnreadableText
from ordering.domain.mailbox import mailbox_of, reachable
from ordering.domain.text import check_line, check_text
from ordering.domain.values import Money

AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")
POSITION = re.compile(r"[0-9]{1,18}")
LONGEST_LOGIN = 150
SPACE = r"\t-\r\u001c-\u001f \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What is taken away at both ends of a text, as a class of regular expressions."""
CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
CONTROL_BUT_BREAKS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
NULL = r"\u0000"


def _without(characters: str, *, blank: bool) -> str:
    """The pattern of a text without these characters, which are minded between its first and its last visible one."""
    seen = f"[^{characters}{SPACE}]([^{characters}]*[^{characters}{SPACE}])?[{SPACE}]*"
    return f"^[{SPACE}]*({seen})?$" if blank else f"^[{SPACE}]*{seen}$"


class Shape(serializers.Serializer[Any]):
    """An object that has these fields and no others. Those that are `deprecated` are known by their names."""

    deprecated: Mapping[str, Deprecation] = {}

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[Any, Any] = {}
        if isinstance(data, Mapping):
            errors = {
                name: [ErrorDetail("There is no such field.", "unknown")] for name in data if name not in self.fields
            }
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**errors, **error.detail}) from None  # type: ignore[dict-item]  # details nest
        if errors:
            raise ValidationError(errors)
        return value

    @classmethod
    def of(cls, value: Any) -> dict[str, Any]:
        """A value as it is answered."""
        shown: dict[str, Any] = _made(cls).to_representation(value)
        return shown


@cache
def _made(shape: type[Shape]) -> Shape:
    """Fields are made once for all answers: DRF copies those of a shape for each of its values."""
    return shape()


class Text(serializers.CharField):
    """A string, and never what merely can be written as one."""

    forbidden = NULL

    @property
    def contract(self) -> dict[str, Any]:
        """What the schema says besides."""
        return {"pattern": _without(self.forbidden, blank=self.allow_blank)} if self.trim_whitespace else {}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Line(Text):
    """One line of text, without characters that control how it or what is around it is shown."""

    default_error_messages = {"control": "There is a control character in it."}
    check = staticmethod(check_line)
    forbidden = CONTROL

    def to_internal_value(self, data: Any) -> str:
        line = super().to_internal_value(data)
        try:
            self.check(line)
        except UnreadableText:
            self.fail("control")
        return line


class Lines(Line):
    """The same of a text that may have several lines."""

    check = staticmethod(check_text)
    forbidden = CONTROL_BUT_BREAKS


class Email(serializers.EmailField):
    """An address that mail can reach and that can also name a login, which has at most 150 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_LOGIN, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if len(mailbox_of(data)) > LONGEST_LOGIN:
            self.fail("max_length", max_length=LONGEST_LOGIN)
        return super().to_internal_value(data)

    def run_validation(self, data: Any = serializers.empty) -> str:
        """What is written as an address is looked at once more: whether mail can reach it."""
        try:
            return reachable(super().run_validation(data))
        except InvalidEmail as refusal:
            raise ValidationError(str(refusal), "invalid") from None


class Identifier(serializers.UUIDField):
    """A UUID, written as a string."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class ChosenId(Identifier):
    """The id of something new. Ids of version 5 are made here, out of others: whoever chose one could take that of an
    order's payment before it is asked for.
    """

    contract = {
        "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-46-9a-fA-F][0-9a-fA-F]{3}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    }
    default_error_messages = {"derived": "An id of version 5 is not for you to choose; take one of version 4 or 7."}

    def to_internal_value(self, data: Any) -> UUID:
        chosen: UUID = super().to_internal_value(data)
        if chosen.version == 5:
            self.fail("derived")
        return chosen


class Count(serializers.IntegerField):
    """A whole number, written as one: neither "2" nor 2.0 nor true."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


@extend_schema_field({"type": "string", "pattern": f"^{AMOUNT.pattern}$", "example": "199.00"})
class Amount(serializers.Field):
    """A decimal number, written as a string: neither a number of JSON nor 1e2."""

    default_error_messages = {
        "invalid": 'A string such as "199.00": at most twelve digits, a point, and at most four more.'
    }

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or not AMOUNT.fullmatch(data):
            self.fail("invalid")
        return Decimal(data)

    def to_representation(self, value: Any) -> str:
        return str(value)


class MoneyShape(Shape):
    """What can be paid: an amount in the decimals of its currency."""

    amount = Amount()
    currency = serializers.RegexField("^[A-Z]{3}$", help_text="ISO 4217")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            Money(**given).check()
        except UnknownCurrency as refusal:
            raise ValidationError({"currency": [ErrorDetail(str(refusal), refusal.code)]}) from None
        except TooManyDecimals as refusal:
            raise ValidationError({"amount": [ErrorDetail(str(refusal), refusal.code)]}) from None
        return given


@extend_schema_field(
    {"oneOf": [{"type": "integer", "minimum": 0, "maximum": 10**18 - 1}, {"type": "string", "format": "date-time"}]}
)
class AsOf(serializers.DateTimeField):
    """A position of the log, if it is all digits, else a time."""

    default_error_messages = {
        "invalid": "A position of the log, or a time such as 2030-01-31T12:00:00Z.",
    }

    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, str) and POSITION.fullmatch(value):
            return int(value)
        return super().to_internal_value(value)


class PageQuery(Shape):
    """How to ask for a page of a list."""

    cursor = serializers.CharField(
        required=False, max_length=500, default=None, help_text="from `next` of the page before"
    )
    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)


def shaped(shape: type[Shape], data: Any) -> dict[str, Any]:
    """The values of a body or a query. Raises `ValidationError` with all that is wrong."""
    checked = shape(data=data)
    checked.is_valid(raise_exception=True)
    values: dict[str, Any] = checked.validated_data
    return values


class PendingShape(Shape):
    """It exists, but the read model has not got there yet."""

    status = serializers.ChoiceField(["pending"])
    position = serializers.IntegerField(help_text="what the read model has to reach")
    read_model_position = serializers.IntegerField()
