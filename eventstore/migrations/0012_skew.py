from django.db import migrations, models


class Migration(migrations.Migration):
    """A heartbeat tells how the clock of its process stands to the database's."""

    dependencies = [("eventstore", "0011_rings")]

    operations = [
        migrations.AddField(
            "workerheartbeat",
            "skew",
            models.FloatField(blank=True, help_text="seconds that its clock is ahead of the database's", null=True),
        ),
        migrations.AddField(
            "workerheartbeat",
            "skew_error",
            models.FloatField(blank=True, help_text="seconds that this may be off", null=True),
        ),
    ]
