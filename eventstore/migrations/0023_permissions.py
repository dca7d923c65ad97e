from django.db import migrations


class Migration(migrations.Migration):
    """To skip and to discard takes permissions of its own."""

    dependencies = [
        ("eventstore", "0022_consumers"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="subscriberrow",
            options={
                "ordering": ["rank", "name"],
                "permissions": [
                    ("operate_subscriber", "Can pause, resume, reshard and rewind subscribers"),
                    ("skip_events", "Can have subscribers skip events"),
                    ("resolve_parked", "Can retry parked events"),
                    ("discard_parked", "Can discard parked events"),
                    ("retire_subscriber", "Can retire subscribers that the code no longer has"),
                ],
                "verbose_name": "subscriber",
            },
        ),
    ]
