"""Consumers of the feed in other systems say where they are."""

from django.db import migrations, models

import eventstore.models


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0021_operated_once")]

    operations = [
        migrations.CreateModel(
            name="Consumer",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("by", models.TextField(help_text="who reported it first: nobody else may")),
                ("position", models.BigIntegerField(help_text="it has dealt with all up to there")),
                ("epoch", models.UUIDField(help_text="the log that this is a position of")),
                (
                    "errors",
                    models.JSONField(blank=True, default=list, help_text="texts: what went wrong there, and still is"),
                ),
                ("reported_at", models.DateTimeField(db_default=eventstore.models.ClockTimestamp())),
                (
                    "moved_at",
                    models.DateTimeField(
                        db_default=eventstore.models.ClockTimestamp(), help_text="when the position last rose"
                    ),
                ),
            ],
            options={
                "ordering": ["by", "name"],
            },
        ),
    ]
