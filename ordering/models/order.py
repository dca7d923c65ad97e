from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Count, Q, Sum, Value

from projections.models import ReadModel


class Orders(models.Manager["OrderSummary"]):
    """Orders, and what of a conference they have."""

    def sold(self, conference_id: UUID) -> Counter[str]:
        """How many seats of each type confirmed orders have."""
        confirmed = self.filter(conference_id=conference_id, status=OrderSummary.Status.CONFIRMED)
        sold = Counter[str]()
        for alike in confirmed.order_by().values("lines").annotate(orders=Count("pk")):
            for line in alike["lines"]:
                sold[line["seat_type"]] += line["quantity"] * alike["orders"]
        return sold

    def standing(self, conference_id: UUID) -> Mapping[str, Any]:
        """How many `orders` of a conference are neither refused nor over, and how much money they have `held`."""
        status = OrderSummary.Status
        standing = self.filter(
            conference_id=conference_id, status__in=[status.PLACED, status.AWAITING_PAYMENT, status.CONFIRMED]
        )
        nothing = Value(Decimal(0))
        held = Sum("received", default=nothing) - Sum("returned", default=nothing)
        return standing.aggregate(orders=Count("pk"), held=held)


class OrderSummary(ReadModel):
    """An order as a client sees it: what was asked for, where it stands, and its money.

    `payment_id`, `payment_status` and `payment_amount` are those of its newest payment.
    """

    sums_by = "currency"

    class Status(models.TextChoices):
        PLACED = "placed"
        REFUSED = "refused"
        AWAITING_PAYMENT = "awaiting_payment"
        CONFIRMED = "confirmed"
        EXPIRED = "expired"
        CANCELLED = "cancelled"
        REFUNDED = "refunded"

    order_id = models.UUIDField(primary_key=True)
    number = models.TextField()
    customer_id = models.UUIDField()
    conference_id = models.UUIDField()
    status = models.TextField(choices=Status)
    lines = models.JSONField()
    total = models.DecimalField(max_digits=22, decimal_places=4)
    change = models.JSONField(
        null=True,
        blank=True,
        help_text="lines and total of a change that a confirmed order owes money for, and what has to come in",
    )
    currency = models.CharField(max_length=3)
    placed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    payment_id = models.UUIDField(null=True, blank=True)
    payment_status = models.TextField(blank=True, default="")
    payment_amount = models.DecimalField(max_digits=22, decimal_places=4, null=True, blank=True)
    payments = models.JSONField(
        default=list,
        db_default=[],
        help_text="each with id, reference, status, amount, currency, received_at and its refunds",
    )
    received = models.DecimalField(max_digits=22, decimal_places=4, default=0, db_default=0)
    returned = models.DecimalField(max_digits=22, decimal_places=4, default=0, db_default=0)
    due = models.DecimalField(max_digits=22, decimal_places=4, default=0, db_default=0)
    fee = models.DecimalField(
        max_digits=22,
        decimal_places=4,
        default=0,
        db_default=0,
        help_text="what is kept of its money, if it is cancelled",
    )
    provider = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="the payment provider that it names; empty for that of the site",
    )
    version = models.IntegerField(help_text="of the order's stream")

    objects = Orders()

    class Meta:
        verbose_name = "order"
        ordering = ["-placed_at", "-order_id"]
        permissions = [
            ("request_status_mail", "Can ask for mails that say how an order stands"),
            ("export_orders", "Can export orders as CSV"),
            ("cancel_order", "Can cancel orders"),
            ("change_quantities", "Can change the quantities of orders"),
            ("extend_order", "Can give orders more time, and reopen those that have ended"),
            ("record_payment", "Can record payments that arrived in another way"),
            ("refund_payment", "Can give payments back, and see to refunds that failed"),
        ]
        indexes = [
            models.Index(fields=["-placed_at", "-order_id"], name="ordering_order_newest"),
            models.Index(fields=["customer_id", "-placed_at", "-order_id"], name="ordering_order_customer"),
            models.Index(fields=["conference_id", "-placed_at", "-order_id"], name="ordering_order_conference"),
            models.Index(fields=["status", "-placed_at", "-order_id"], name="ordering_order_status"),
            models.Index(fields=["number"], name="ordering_order_number"),
            models.Index(fields=["expires_at"], condition=Q(due__gt=0), name="ordering_order_owing"),
            GinIndex(fields=["payments"], opclasses=["jsonb_path_ops"], name="ordering_order_payments"),
        ]

    def __str__(self) -> str:
        return self.number
