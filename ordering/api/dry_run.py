"""Dry runs: with `?dry_run=true` a write is decided, and answered with what it would record."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from ordering.api.serializers import Shape


class Flag(serializers.BooleanField):
    """Written as true or false, and in no other way."""

    default_error_messages = {"invalid": "Either true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            self.fail("invalid")
        return bool(data == "true")


class WriteQuery(Shape):
    """What may follow the question mark of a write."""

    dry_run = Flag(required=False, default=False, help_text="decide, answer what would be recorded, and write nothing")


class NoDryRunQuery(Shape):
    """The same of a write that no command of the caller's stands for."""

    dry_run = Flag(required=False)

    def validate_dry_run(self, wanted: bool) -> bool:
        if wanted:
            raise ValidationError("This call has no dry run, and was not carried out.", "no-dry-run")
        return wanted


class ForeseenEventShape(Shape):
    type = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]  # a field of that name


class WouldRecordShape(Shape):
    would_record = ForeseenEventShape(many=True)


class Foreseen(Exception):
    """A dry run is over: this is the answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer
