"""The forms by which staff schedule conferences and add seats. They check the shape; the rules are the aggregate's."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from ordering.domain.conference_changes import time_zones
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import SeatType
from ordering.domain.values import Money


class MomentInput(forms.DateTimeInput):
    """The browser's own picker."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class DayInput(forms.DateInput):
    """The browser's own picker."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class MomentField(forms.DateTimeField):
    """A time of the zone that the form is about; an hour that its clocks skip or show twice is refused."""

    widget = MomentInput

    def clean(self, value: Any) -> datetime | None:
        moment = super().clean(value)
        return moment.astimezone(UTC) if moment else None


class TimeZoneField(forms.CharField):
    """Typed, with all names to choose from."""

    widget = forms.TextInput({"list": "time-zones", "autocomplete": "off"})

    def clean(self, value: Any) -> str:
        name: str = super().clean(value)
        if name not in time_zones():
            raise forms.ValidationError("No time zone has this name. They read like Europe/Berlin.")
        return name


class PriceField(forms.DecimalField):
    """An amount in whatever decimals its currency has, of which the aggregate knows."""

    def __init__(self, **options: Any) -> None:
        looks = forms.NumberInput({"step": "any"})
        super().__init__(min_value=0, max_digits=14, decimal_places=4, widget=looks, **options)


class RuleForm(forms.Form):
    """A form whose command may be refused: `blamed` says which field a rule is about."""

    blamed: ClassVar[Mapping[str, str]] = {}

    def about(self, code: str) -> str | None:
        return self.blamed.get(code)

    def full_clean(self) -> None:
        with timezone.override(ZoneInfo(self.zone)):
            super().full_clean()

    @property
    def zone(self) -> str:
        """The time zone of its times: the one that is typed into it, where it has a field for that."""
        typed = self.data.get(self.add_prefix("time_zone"), "")
        return typed if typed in time_zones() else "UTC"


class ConferenceForm(RuleForm):
    blamed = {"invalid-sales-window": "closes_at", "unknown-currency": "currency", "name-needed": "name"}

    conference_id = forms.UUIDField(widget=forms.HiddenInput)
    name = forms.CharField(max_length=200)
    currency = forms.RegexField(
        "^[A-Z]{3}$",
        strip=True,
        widget=forms.TextInput({"maxlength": 3}),
        error_messages={"invalid": "Three capital letters, such as EUR."},
    )
    place = forms.CharField(max_length=200, required=False)
    time_zone = TimeZoneField(label="Time zone", help_text="All times are those of this zone.")
    opens_at = MomentField(label="Sales open")
    closes_at = MomentField(label="Sales close")
    starts_at = MomentField(label="Starts")

    def command(self, seat_types: Iterable[Mapping[str, Any]]) -> ScheduleConference:
        given = self.cleaned_data
        return ScheduleConference(
            conference_id=given["conference_id"],
            name=given["name"],
            starts_at=given["starts_at"],
            opens_at=given["opens_at"],
            closes_at=given["closes_at"],
            time_zone=given["time_zone"],
            place=given["place"],
            seat_types=tuple(
                seat_type_of(each, given["currency"]) for each in seat_types if each and not each.get("DELETE")
            ),
        )


class SeatTypeForm(RuleForm):
    blamed = {"invalid-seat-type": "code", "seat-type-differs": "code", "too-many-decimals": "price"}

    code = forms.SlugField(max_length=50)
    name = forms.CharField(max_length=100)
    price = PriceField()
    capacity = forms.IntegerField(label="Seats", min_value=1, max_value=1_000_000)
    max_per_order = forms.IntegerField(label="At most in an order", min_value=1, max_value=1_000, initial=6)
    min_per_order = forms.IntegerField(label="At least", min_value=1, max_value=1_000, initial=1, required=False)

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
        min_per_order=given["min_per_order"] or 1,
    )
