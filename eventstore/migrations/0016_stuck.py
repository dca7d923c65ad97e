from django.db import migrations, models


class Migration(migrations.Migration):
    """A heartbeat tells which processes of its worker don't work."""

    dependencies = [("eventstore", "0015_one_call")]

    operations = [
        migrations.AddField(
            "workerheartbeat",
            "stuck",
            models.TextField(blank=True, db_default="", default="", help_text="which of its processes don't work"),
        )
    ]
