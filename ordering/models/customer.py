from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Upper

from projections.models import ReadModel


class CustomerProfile(ReadModel):
    """What is known of a customer."""

    customer_id = models.UUIDField(primary_key=True)
    name = models.TextField()
    email = models.TextField()
    email_confirmed = models.BooleanField(default=False, db_default=False, help_text="by the link of a mail")
    birth_date = models.DateField(null=True, blank=True)
    address = models.JSONField(null=True, blank=True)
    registered_at = models.DateTimeField()
    version = models.IntegerField(help_text="of the customer's stream")

    class Meta:
        verbose_name = "customer"
        ordering = ["-registered_at", "-customer_id"]
        indexes = [
            models.Index(fields=["-registered_at", "-customer_id"], name="ordering_customer_newest"),
            models.Index(Upper("email"), name="ordering_customer_email_upper"),
            GinIndex(SearchVector("name", config="simple"), name="ordering_customer_words"),
        ]

    def __str__(self) -> str:
        return self.name


class CustomerAccount(models.Model):
    """Which login is which customer. Not a read table: passwords are in no event, so this can't be folded again.

    It stays when staff delete the login: nobody opens another one by registering the same customer again.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="customer")
    customer_id = models.UUIDField(unique=True)

    def __str__(self) -> str:
        return str(self.customer_id)
