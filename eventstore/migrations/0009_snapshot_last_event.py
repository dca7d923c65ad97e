"""A snapshot says which event was the last that it holds. Those of before don't, and are made anew."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0008_retire")]

    operations = [
        migrations.AddField(
            "snapshot",
            "last_event_id",
            models.UUIDField(null=True, help_text="of the event at this version; with another one there it is ignored"),
        ),
    ]
