from django.db import models

from projections.models import ReadModel


class SalesOfDay(ReadModel):
    """Money received and given back on one day (UTC), by currency."""

    key = models.TextField(primary_key=True, help_text="day and currency")
    day = models.DateField()
    currency = models.CharField(max_length=3)
    payments = models.IntegerField(default=0)
    received = models.DecimalField(max_digits=20, decimal_places=2, default=0)
    refunds = models.IntegerField(default=0)
    refunded = models.DecimalField(max_digits=20, decimal_places=2, default=0)

    class Meta:
        verbose_name = "sales of a day"
        verbose_name_plural = "sales by day"
        ordering = ["-day", "currency"]
        indexes = [models.Index(fields=["-day", "currency"], name="ordering_sales_newest")]

    def __str__(self) -> str:
        return self.key
