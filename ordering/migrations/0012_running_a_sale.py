"""Permissions for what staff do about an order and its money; names and references are found by indexes."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0011_terms_of_orders"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="ordersummary",
            options={
                "ordering": ["-placed_at", "-order_id"],
                "permissions": [
                    ("request_status_mail", "Can ask for mails that say how an order stands"),
                    ("export_orders", "Can export orders as CSV"),
                    ("cancel_order", "Can cancel orders"),
                    ("extend_order", "Can give orders more time, and reopen those that have ended"),
                    ("record_payment", "Can record payments that arrived in another way"),
                    ("refund_payment", "Can give payments back, and see to refunds that failed"),
                ],
                "verbose_name": "order",
            },
        ),
        migrations.AlterModelOptions(
            name="conferencesummary",
            options={
                "ordering": ["starts_at", "conference_id"],
                "permissions": [("cancel_conference", "Can cancel conferences with all their orders")],
                "verbose_name": "conference",
            },
        ),
        migrations.AlterModelOptions(
            name="unmatchedmoney",
            options={
                "ordering": ["-received_at", "-payment_id"],
                "permissions": [
                    ("assign_payment", "Can assign payments that nobody knows to orders, and send them back")
                ],
                "verbose_name": "unmatched payment",
            },
        ),
        migrations.AddIndex(
            model_name="ordersummary",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["payments"], name="ordering_order_payments", opclasses=["jsonb_path_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="customerprofile",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector("name", config="simple"), name="ordering_customer_words"
            ),
        ),
    ]
