"""Orders tell their money in full, and a payment that was paid twice counts twice. Rows from before know one each."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0007_conference_terms"),
    ]

    operations = [
        migrations.AddField(
            model_name="conferencesales",
            name="count",
            field=models.IntegerField(
                db_default=1, default=0, help_text="how often money came in: twice, where it was paid twice"
            ),
        ),
        migrations.AddField(
            model_name="conferencesales",
            name="refunds",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="ordersummary",
            name="due",
            field=models.DecimalField(db_default=0, decimal_places=4, default=0, max_digits=22),
        ),
        migrations.AddField(
            model_name="ordersummary",
            name="payments",
            field=models.JSONField(
                db_default=[],
                default=list,
                help_text="each with id, reference, status, amount, currency, received_at and its refunds",
            ),
        ),
        migrations.AddField(
            model_name="ordersummary",
            name="received",
            field=models.DecimalField(db_default=0, decimal_places=4, default=0, max_digits=22),
        ),
        migrations.AddField(
            model_name="ordersummary",
            name="returned",
            field=models.DecimalField(db_default=0, decimal_places=4, default=0, max_digits=22),
        ),
    ]
