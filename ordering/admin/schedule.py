"""The forms that staff fill in about conferences. They check the shape; the rules are the aggregate's."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from unfold.widgets import INPUT_CLASSES

from ordering.domain.conference import ScheduleConference, SeatType
from ordering.domain.values import Money

LOOK = {"class": " ".join(INPUT_CLASSES)}


class Moment(forms.DateTimeInput):
    """The browser's own picker."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs=LOOK, format="%Y-%m-%dT%H:%M")


class RuleForm(forms.Form):
    """A form whose command may be refused: `blamed` says which field a rule is about."""

    blamed: ClassVar[Mapping[str, str]] = {}

    def about(self, code: str) -> str | None:
        return self.blamed.get(code)


class ConferenceForm(RuleForm):
    blamed = {"invalid-sales-window": "closes_at", "unknown-currency": "currency"}

    conference_id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(max_length=200, widget=forms.TextInput(LOOK))
    starts_at = forms.DateTimeField(label="Starts", widget=Moment)
    opens_at = forms.DateTimeField(label="Sales open", widget=Moment)
    closes_at = forms.DateTimeField(label="Sales close", widget=Moment)
    currency = forms.RegexField(
        "^[A-Z]{3}$",
        widget=forms.TextInput({**LOOK, "maxlength": 3}),
        error_messages={"invalid": "Three capital letters, such as EUR."},
    )

    def command(self, seat_types: Iterable[Mapping[str, Any]]) -> ScheduleConference:
        given = self.cleaned_data
        return ScheduleConference(
            conference_id=given["conference_id"],
            name=given["name"],
            starts_at=given["starts_at"],
            opens_at=given["opens_at"],
            closes_at=given["closes_at"],
            seat_types=tuple(
                seat_type_of(each, given["currency"]) for each in seat_types if each and not each.get("DELETE")
            ),
        )


class SeatTypeForm(RuleForm):
    blamed = {"invalid-seat-type": "code", "seat-type-differs": "code", "too-many-decimals": "price"}

    code = forms.SlugField(max_length=50, widget=forms.TextInput(LOOK))
    name = forms.CharField(max_length=100, widget=forms.TextInput(LOOK))
    price = forms.DecimalField(
        min_value=0, max_digits=14, decimal_places=4, widget=forms.NumberInput({**LOOK, "step": "any"})
    )
    capacity = forms.IntegerField(
        label="Seats", min_value=1, max_value=1_000_000, widget=forms.NumberInput({**LOOK, "step": 1})
    )
    max_per_order = forms.IntegerField(
        label="At most in an order", min_value=1, max_value=1_000, initial=6, widget=forms.NumberInput(LOOK)
    )

    def seat_type(self, currency: str) -> SeatType:
        return seat_type_of(self.cleaned_data, currency)


SeatTypes = forms.formset_factory(SeatTypeForm, extra=0, min_num=1, max_num=20, validate_max=True, can_delete=True)


def seat_type_of(given: Mapping[str, Any], currency: str) -> SeatType:
    return SeatType(
        code=given["code"],
        name=given["name"],
        price=Money(given["price"], currency),
        capacity=given["capacity"],
        max_per_order=given["max_per_order"],
    )
