"""Whoever may retire subscribers has a permission of its own."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0007_names")]

    operations = [
        migrations.AlterModelOptions(
            "subscriberrow",
            {
                "ordering": ["rank", "name"],
                "permissions": [
                    ("operate_subscriber", "Can pause, resume, reshard, rewind and skip subscribers"),
                    ("resolve_parked", "Can retry and discard parked events"),
                    ("retire_subscriber", "Can retire subscribers that the code no longer has"),
                ],
                "verbose_name": "subscriber",
            },
        ),
    ]
