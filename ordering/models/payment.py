from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Sum

from ordering.domain.values import in_decimals_of
from projections.models import ReadModel


class Sales(models.Manager["ConferenceSales"]):
    """Payments, and their sums."""

    def sums(self, conference_id: UUID) -> Iterable[Mapping[str, Any]]:
        """Number and sum of what was received for a conference and of what has gone back, by currency."""
        grouped = self.filter(conference_id=conference_id).order_by("currency").values("currency")
        return grouped.annotate(
            payments=Sum("count"),
            total_received=Sum("received"),
            refunds=Sum("refunds"),
            total_refunded=Sum("refunded"),
        )


class ConferenceSales(ReadModel):
    """One payment, what has gone back of it, and the conference that it is for."""

    sums_by = "currency"

    payment_id = models.UUIDField(primary_key=True)
    order_id = models.UUIDField()
    conference_id = models.UUIDField()
    currency = models.CharField(max_length=3)
    received = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    refunded = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    count = models.IntegerField(
        default=0, db_default=1, help_text="how often money came in: twice, where it was paid twice"
    )
    refunds = models.IntegerField(default=0, db_default=0)
    receipts = models.JSONField(
        default=list, db_default=[], help_text="provider and reference, each time that money came in"
    )
    received_at = models.DateTimeField()
    refunded_at = models.DateTimeField(null=True, blank=True)

    objects = Sales()

    class Meta:
        verbose_name = "sale of a conference"
        verbose_name_plural = "sales by conference"
        permissions = [("export_payments", "Can export payments as CSV")]
        ordering = ["-received_at", "-payment_id"]
        indexes = [
            models.Index(fields=["-received_at", "-payment_id"], name="ordering_sale_newest"),
            models.Index(fields=["conference_id", "currency"], name="ordering_sale_conference"),
        ]

    def __str__(self) -> str:
        return f"{in_decimals_of(self.currency, self.received)} {self.currency}"


class DailySales(ReadModel):
    """Money received and given back on one day (UTC), by currency."""

    sums_by = "currency"

    key = models.TextField(primary_key=True, help_text="day and currency")
    day = models.DateField()
    currency = models.CharField(max_length=3)
    payments = models.IntegerField(default=0)
    received = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    refunds = models.IntegerField(default=0)
    refunded = models.DecimalField(max_digits=22, decimal_places=4, default=0)

    class Meta:
        verbose_name = "sales of a day"
        verbose_name_plural = "sales by day"
        ordering = ["-day", "currency"]
        indexes = [models.Index(fields=["-day", "currency"], name="ordering_sales_newest")]

    def __str__(self) -> str:
        return self.key
