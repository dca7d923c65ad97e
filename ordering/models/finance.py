from django.db import models

from projections.models import ReadModel


class UnmatchedMoney(ReadModel):
    """Money that came in for a payment that nobody knows, less what has gone back, until it is assigned to an order."""

    sums_by = "currency"

    payment_id = models.UUIDField(primary_key=True)
    provider = models.TextField()
    reference = models.TextField()
    amount = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    currency = models.CharField(max_length=3)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "unmatched payment"
        permissions = [("assign_payment", "Can assign payments that nobody knows to orders, and send them back")]
        ordering = ["-received_at", "-payment_id"]
        indexes = [models.Index(fields=["-received_at", "-payment_id"], name="ordering_unmatched_newest")]

    def __str__(self) -> str:
        return f"{self.provider} {self.reference}"


class Excess(ReadModel):
    """What came in for an order above what it costs, less what is on its way back."""

    sums_by = "currency"

    order_id = models.UUIDField(primary_key=True)
    amount = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    paid_above = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    currency = models.CharField(max_length=3)
    under_way = models.JSONField(default=dict, help_text="by refund: what is on its way back")
    since = models.DateTimeField()

    class Meta:
        verbose_name = "excess"
        verbose_name_plural = "excess"
        ordering = ["-since", "-order_id"]
        indexes = [models.Index(fields=["-since", "-order_id"], name="ordering_excess_newest")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class FailedRefund(ReadModel):
    """A refund that the provider refused or that only staff can make, until it is tried again or made by hand, or its
    money is not there any more.
    """

    sums_by = "currency"

    refund_id = models.UUIDField(primary_key=True)
    account_id = models.UUIDField()
    order_id = models.UUIDField(null=True, blank=True)
    payment_id = models.UUIDField()
    provider = models.TextField()
    reference = models.TextField()
    amount = models.DecimalField(max_digits=22, decimal_places=4)
    currency = models.CharField(max_length=3)
    reason = models.TextField()
    failed_at = models.DateTimeField()

    class Meta:
        verbose_name = "failed refund"
        ordering = ["-failed_at", "-refund_id"]
        indexes = [models.Index(fields=["-failed_at", "-refund_id"], name="ordering_failed_newest")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
