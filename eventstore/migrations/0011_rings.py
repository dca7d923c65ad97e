from django.db import migrations, models


class Migration(migrations.Migration):
    """Rings have numbers, by which a message tells whether its ring was answered."""

    dependencies = [("eventstore", "0010_functions")]

    operations = [
        migrations.AddField(
            "doorbell", "rings", models.BigIntegerField(db_default=0, help_text="how often it was rung")
        ),
        migrations.AddField(
            "doorbell",
            "answered",
            models.BigIntegerField(db_default=0, help_text="the last ring that was answered"),
        ),
    ]
