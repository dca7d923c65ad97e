from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models
from django.db.models import Count, F

from projections.models import ReadModel

DECADE = 10


class BirthYears(models.Manager["BirthYear"]):
    """Customers who have told when they were born."""

    def by_decade(self) -> Iterable[Mapping[str, Any]]:
        """How many there are, by the first year of the decade that they were born in."""
        born = self.filter(year__isnull=False).annotate(decade=F("year") / DECADE * DECADE)
        return born.order_by("decade").values("decade").annotate(customers=Count("pk"))


class BirthYear(ReadModel):
    """In which year a customer was born. No more is kept of the day: no more is asked for."""

    customer_id = models.UUIDField(primary_key=True)
    year = models.IntegerField(null=True, blank=True)

    objects = BirthYears()

    class Meta:
        verbose_name = "year of birth"
        verbose_name_plural = "demographics"
        ordering = ["year", "customer_id"]
        indexes = [models.Index(fields=["year"], name="ordering_birth_year")]

    def __str__(self) -> str:
        return str(self.customer_id)
