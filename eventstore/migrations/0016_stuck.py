from django.db import migrations, models


class Migration(migrations.Migration):
    """A heartbeat tells which processes of its worker don't work, and the site has one too."""

    dependencies = [("eventstore", "0015_one_call")]

    operations = [
        migrations.AddField(
            "workerheartbeat",
            "stuck",
            models.TextField(blank=True, db_default="", default="", help_text="which of its processes don't work"),
        ),
        migrations.AlterField(
            "workerheartbeat",
            "kind",
            models.TextField(
                choices=[
                    ("worker", "Worker"),
                    ("beat", "Beat"),
                    ("site", "Site"),
                    ("health-check", "Health Check"),
                ]
            ),
        ),
    ]
