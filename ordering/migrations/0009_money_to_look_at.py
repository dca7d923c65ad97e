"""Lists of money that waits for a person."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0008_money_is_a_fact"),
    ]

    operations = [
        migrations.CreateModel(
            name="Excess",
            fields=[
                ("as_of", models.BigIntegerField(help_text="position of the last event in this row")),
                ("order_id", models.UUIDField(primary_key=True, serialize=False)),
                ("amount", models.DecimalField(decimal_places=4, default=0, max_digits=22)),
                ("paid_above", models.DecimalField(decimal_places=4, default=0, max_digits=22)),
                ("currency", models.CharField(max_length=3)),
                ("under_way", models.JSONField(default=dict, help_text="by refund: what is on its way back")),
                ("since", models.DateTimeField()),
            ],
            options={
                "verbose_name": "excess",
                "verbose_name_plural": "excess",
                "ordering": ["-since", "-order_id"],
                "indexes": [models.Index(fields=["-since", "-order_id"], name="ordering_excess_newest")],
            },
        ),
        migrations.CreateModel(
            name="FailedRefund",
            fields=[
                ("as_of", models.BigIntegerField(help_text="position of the last event in this row")),
                ("refund_id", models.UUIDField(primary_key=True, serialize=False)),
                ("account_id", models.UUIDField()),
                ("order_id", models.UUIDField(blank=True, null=True)),
                ("payment_id", models.UUIDField()),
                ("provider", models.TextField()),
                ("reference", models.TextField()),
                ("amount", models.DecimalField(decimal_places=4, max_digits=22)),
                ("currency", models.CharField(max_length=3)),
                ("reason", models.TextField()),
                ("failed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "failed refund",
                "ordering": ["-failed_at", "-refund_id"],
                "indexes": [models.Index(fields=["-failed_at", "-refund_id"], name="ordering_failed_newest")],
            },
        ),
        migrations.CreateModel(
            name="UnmatchedMoney",
            fields=[
                ("as_of", models.BigIntegerField(help_text="position of the last event in this row")),
                ("payment_id", models.UUIDField(primary_key=True, serialize=False)),
                ("provider", models.TextField()),
                ("reference", models.TextField()),
                ("amount", models.DecimalField(decimal_places=4, max_digits=22)),
                ("currency", models.CharField(max_length=3)),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "unmatched payment",
                "ordering": ["-received_at", "-payment_id"],
                "indexes": [models.Index(fields=["-received_at", "-payment_id"], name="ordering_unmatched_newest")],
            },
        ),
    ]
