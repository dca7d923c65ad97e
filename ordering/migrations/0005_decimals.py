"""Amounts have room for the decimals of every currency, in every generation that is kept. Data is kept."""

from typing import Any

from django.db import migrations, models

from projections.migration_operations import RetypeReadModelField


def amount(model: str, name: str, **options: Any) -> RetypeReadModelField:
    return RetypeReadModelField(model, name, models.DecimalField(max_digits=22, decimal_places=4, **options))


class Migration(migrations.Migration):
    dependencies = [("ordering", "0004_names")]

    operations = [
        amount("ordersummary", "total"),
        amount("ordersummary", "payment_amount", null=True, blank=True),
        amount("conferencesales", "received", default=0),
        amount("conferencesales", "refunded", default=0),
        amount("dailysales", "received", default=0),
        amount("dailysales", "refunded", default=0),
    ]
