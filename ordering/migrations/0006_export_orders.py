from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ordering", "0005_decimals")]

    operations = [
        migrations.AlterModelOptions(
            name="ordersummary",
            options={
                "ordering": ["-placed_at", "-order_id"],
                "permissions": [
                    ("request_status_mail", "Can ask for mails that say how an order stands"),
                    ("export_orders", "Can export orders as CSV"),
                ],
                "verbose_name": "order",
            },
        ),
    ]
