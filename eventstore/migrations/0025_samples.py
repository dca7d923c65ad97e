"""How the system does is noted once a minute, for small charts of the last hour."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("eventstore", "0024_correlation"),
    ]

    operations = [
        migrations.CreateModel(
            name="Sample",
            fields=[
                ("minute", models.DateTimeField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(help_text="up to which the log was final")),
                ("seconds", models.FloatField(help_text="since the sample before")),
                ("events", models.BigIntegerField(help_text="positions that came since then")),
                (
                    "figures",
                    models.JSONField(default=dict, help_text="by name: what came since then, or how things stood"),
                ),
            ],
            options={
                "ordering": ["minute"],
            },
        ),
    ]
