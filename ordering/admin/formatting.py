"""How values of the business are shown."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ordering.templatetags.money import money

__all__ = ["link", "money", "seats"]


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
