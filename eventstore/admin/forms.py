"""Forms made from what an operation asks for."""

import re
from datetime import datetime
from typing import Any

from django import forms

from eventstore.operations.base import Operation
from eventstore.operations.fields import OperationField, operation_fields


class Moment(forms.DateTimeInput):
    """To the second, with whatever help the browser has."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "1"}, format="%Y-%m-%dT%H:%M:%S")


class SeveralField(forms.CharField):
    """Several values in one line, with commas or blanks between them."""

    def __init__(self, kind: type, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def clean(self, value: Any) -> tuple[Any, ...]:
        words = re.split(r"[,\s]+", str(super().clean(value)).strip())
        try:
            return tuple(self.kind(word) for word in words if word)
        except ValueError as error:
            raise forms.ValidationError("Numbers, with commas between them.") from error


class OperationForm(forms.Form):
    """The fields of an operation."""

    def __init__(self, kind: type[Operation], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for each in operation_fields(kind):
            self.fields[each.name] = _field(each)


class ReasonForm(forms.Form):
    """Why somebody does something that can't be undone."""

    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}), help_text="For those who look at the records later."
    )


def _field(each: OperationField) -> forms.Field:
    said: dict[str, Any] = {"label": each.title.capitalize(), "help_text": each.description}
    if each.many:
        return SeveralField(each.kind, required=each.required, **said)
    if each.kind is bool:
        return forms.BooleanField(required=False, **said)
    if each.kind is datetime:
        return forms.DateTimeField(required=each.required, widget=Moment(), **said)
    if each.kind is str:
        return forms.CharField(required=each.required, strip=False, **said)
    number = forms.IntegerField if each.kind is int else forms.FloatField
    return number(required=each.required, **said)
