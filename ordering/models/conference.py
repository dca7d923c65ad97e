from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from django.db import models

from ordering.domain.terms import AT_NO_COST, CancellationRule, PaymentTerms
from ordering.models.payment import ConferenceSales
from projections.models import ReadModel

COUNTS = ("taken", "held")


class ConferenceSummary(ReadModel):
    """A conference, its seat types and its pools, each with how many seats are still to be had. `taken` are those that
    are sold or reserved, for orders and for offers of the waitlist: which are sold, the orders say.
    """

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"
        SALES_CLOSED = "sales_closed", "Sales closed"
        CANCELLED = "cancelled", "Cancelled"

    conference_id = models.UUIDField(primary_key=True)
    name = models.TextField()
    status = models.CharField(
        max_length=20, choices=Status.choices, default=Status.SCHEDULED, db_default=Status.SCHEDULED
    )
    starts_at = models.DateTimeField()
    time_zone = models.TextField(default="UTC", db_default="UTC", help_text="the IANA name")
    place = models.TextField(blank=True, default="", db_default="")
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    payment_terms = models.JSONField(
        default=dict,
        db_default={},
        help_text="within, unit, last_day, grace; empty while they are those that every conference begins with",
    )
    cancellation = models.JSONField(
        default=dict,
        db_default={},
        help_text="until, hours, moment, fixed, percent, per_seat; empty like `payment_terms`",
    )
    providers = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="the payment providers of its orders, the usual one first; empty for that of the site",
    )
    max_per_customer = models.IntegerField(null=True, blank=True, help_text="seats, over all orders")
    seat_types = models.JSONField(
        default=dict, help_text="by code: name, price, capacity, its limits, pools, taken, held, available"
    )
    pools = models.JSONField(default=dict, db_default={}, help_text="by code: name, capacity, taken, held, available")
    holds = models.JSONField(default=dict, db_default={}, help_text="by id: seat_type, quantity, label")
    version = models.IntegerField(help_text="of the conference's stream")
    terms_version = models.IntegerField(
        null=True, blank=True, help_text="when staff last changed something; unknown in rows of version 1"
    )

    class Meta:
        verbose_name = "conference"
        ordering = ["starts_at", "conference_id"]
        permissions = [("cancel_conference", "Can cancel conferences with all their orders")]
        indexes = [models.Index(fields=["starts_at", "conference_id"], name="ordering_conference_next")]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def sums(self) -> Sequence[Mapping[str, Any]]:
        """What its payments come to, by currency, read once."""
        return list(ConferenceSales.objects.sums(self.pk))

    @property
    def terms_of_payment(self) -> PaymentTerms:
        return msgspec.convert(self.payment_terms, PaymentTerms)

    @property
    def cancellation_rule(self) -> CancellationRule:
        return msgspec.convert(self.cancellation, CancellationRule)

    @property
    def cancellation_of_orders(self) -> CancellationRule:
        """The rule that holds now."""
        return AT_NO_COST if self.status == self.Status.CANCELLED else self.cancellation_rule


def counted(seat_type: dict[str, Any]) -> dict[str, Any]:
    """A seat type with all its figures. One from version 1 of the projection says only how many seats are available."""
    taken = seat_type["capacity"] - seat_type["available"]
    return {"min_per_order": 1, "pools": [], "taken": taken, "held": 0, **seat_type}
