"""The books, by double entry."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0009_money_to_look_at"),
    ]

    operations = [
        migrations.CreateModel(
            name="FinanceAccount",
            fields=[
                ("as_of", models.BigIntegerField(help_text="position of the last event in this row")),
                ("account_id", models.UUIDField(primary_key=True, serialize=False)),
                ("order_id", models.UUIDField(blank=True, null=True)),
                ("conference_id", models.UUIDField(blank=True, null=True)),
                ("total", models.DecimalField(decimal_places=4, default=0, max_digits=22)),
                ("currency", models.CharField(blank=True, default="", max_length=3)),
                (
                    "sales",
                    models.JSONField(
                        default=list, help_text="positions at which the order was confirmed, cancelled and so on"
                    ),
                ),
                (
                    "fees",
                    models.JSONField(
                        default=list,
                        help_text="position and amount: what was kept when the order was cancelled, none once reopened",
                    ),
                ),
                (
                    "failures",
                    models.JSONField(
                        default=dict, help_text="by refund: positions at which it failed, was asked for again and so on"
                    ),
                ),
            ],
            options={
                "verbose_name": "account",
                "ordering": ["account_id"],
            },
        ),
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                ("as_of", models.BigIntegerField(help_text="position of the last event in this row")),
                (
                    "number",
                    models.BigIntegerField(
                        help_text="the position of the event, and one digit more that counts its entries",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("position", models.BigIntegerField(help_text="of the event in the log")),
                ("event", models.TextField()),
                (
                    "account",
                    models.TextField(
                        choices=[
                            ("provider", "held by providers"),
                            ("customers", "owed to customers"),
                            ("unmatched", "unmatched"),
                            ("moving", "moving to an order"),
                            ("refunds", "refunds under way"),
                            ("revenue", "revenue"),
                            ("fees", "fees"),
                        ]
                    ),
                ),
                (
                    "provider",
                    models.TextField(blank=True, default="", help_text="who holds the money; empty for other accounts"),
                ),
                ("order_id", models.UUIDField(blank=True, null=True)),
                ("conference_id", models.UUIDField(blank=True, null=True)),
                ("currency", models.CharField(max_length=3)),
                ("debit", models.DecimalField(decimal_places=4, default=0, max_digits=22)),
                ("credit", models.DecimalField(decimal_places=4, default=0, max_digits=22)),
                ("recorded_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "journal entry",
                "verbose_name_plural": "journal",
                "ordering": ["-number"],
                "permissions": [("export_journal", "Can export the journal as CSV")],
                "indexes": [
                    models.Index(
                        fields=["recorded_at"],
                        include=("position", "currency", "account", "provider", "debit", "credit"),
                        name="ordering_journal_time",
                    ),
                    models.Index(
                        fields=["position"],
                        include=("currency", "account", "provider", "debit", "credit"),
                        name="ordering_journal_position",
                    ),
                    models.Index(fields=["conference_id", "-number"], name="ordering_journal_conference"),
                    models.Index(fields=["order_id", "-number"], name="ordering_journal_order"),
                    models.Index(fields=["account", "-number"], name="ordering_journal_account"),
                    models.Index(fields=["currency", "-number"], name="ordering_journal_currency"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="conferencesales",
            options={
                "ordering": ["-received_at", "-payment_id"],
                "permissions": [("export_payments", "Can export payments as CSV")],
                "verbose_name": "sale of a conference",
                "verbose_name_plural": "sales by conference",
            },
        ),
    ]
