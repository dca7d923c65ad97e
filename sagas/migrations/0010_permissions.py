from django.db import migrations


class Migration(migrations.Migration):
    """To abandon commands and deliveries takes permissions of its own."""

    dependencies = [
        ("sagas", "0009_webhooks"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="outboxcommand",
            options={
                "permissions": [
                    ("resolve_command", "Can retry commands of sagas and resolve refusals"),
                    ("abandon_command", "Can abandon commands of sagas"),
                ],
                "verbose_name": "outbox command",
            },
        ),
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "permissions": [
                    ("resolve_delivery", "Can retry deliveries, and say what became of those in doubt"),
                    ("abandon_delivery", "Can abandon deliveries"),
                    ("copy_delivery", "Can have what was delivered delivered once more"),
                ],
                "verbose_name_plural": "deliveries",
            },
        ),
    ]
