from django.db import models


class Inquiry(models.Model):
    """When the payment provider was last asked about an order. Not a read table: nobody has told of it."""

    order_id = models.UUIDField(primary_key=True)
    asked_at = models.DateTimeField()

    class Meta:
        verbose_name = "inquiry"
        verbose_name_plural = "inquiries"

    def __str__(self) -> str:
        return str(self.order_id)
