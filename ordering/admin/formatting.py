"""How values of the business are shown."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ordering.domain.terms import CancellableUntil, CancellationRule, PaymentTerms
from ordering.templatetags.moments import in_zone
from ordering.templatetags.money import money

__all__ = ["cancellation_rule", "in_zone", "link", "money", "payment_terms", "seats"]


def link(model: str, key: UUID, text: str | None) -> SafeString:
    """To a row that may not be readable yet."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:ordering_{model}_change", args=[key]), text or key)


def seats(seat_type: Mapping[str, Any]) -> SafeString:
    """How many of its seats a type has left, as a bar and in numbers."""
    capacity, available = seat_type["capacity"], seat_type["available"]
    return format_html(
        '<span class="seats"><meter min="0" max="{}" low="{}" value="{}"></meter> <span>{} of {} left</span></span>',
        *(max(capacity, 1), capacity / 5, available),
        *(f"{available:,}", f"{capacity:,}"),
    )


def payment_terms(terms: PaymentTerms) -> str:
    """Such as "within 14 days, by 1 Mar 2030 at the latest; kept 60 min longer"."""
    unit = terms.unit.value if terms.within > 1 else terms.unit.value.removesuffix("s")
    latest = f", by {date_format(terms.last_day, 'j M Y')} at the latest" if terms.last_day else ""
    grace = f"; kept {terms.grace} min longer" if terms.grace else ""
    return f"within {terms.within} {unit}{latest}{grace}"


def cancellation_rule(rule: CancellationRule, time_zone: str) -> str:
    """Such as "until 48 hours before the start; kept: 5.00 EUR, 10%, 2.00 EUR a seat"."""
    match rule.until:
        case CancellableUntil.ALWAYS:
            until = "at any time"
        case CancellableUntil.START:
            until = f"until {rule.hours} hours before the start" if rule.hours else "until the start"
        case CancellableUntil.MOMENT if rule.moment:
            until = f"until {in_zone(rule.moment, time_zone)}"
        case _:
            return "never"
    fees = [
        *([money(rule.fixed.amount, rule.fixed.currency)] if rule.fixed else []),
        *([f"{rule.percent}%"] if rule.percent else []),
        *([f"{money(rule.per_seat.amount, rule.per_seat.currency)} a seat"] if rule.per_seat else []),
    ]
    return f"{until}; kept: {', '.join(fees)}" if fees else f"{until}, at no cost"
