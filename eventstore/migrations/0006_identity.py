from django.db import migrations, models

import eventstore.models

# A new log is in the database in which it is made; a copy brings the note of its original.
REMEMBER = """INSERT INTO eventstore_identity (id, database, epoch, confirmed_by, confirmed_at) VALUES (true,
    (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database
        WHERE datname = current_database()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint()),
    gen_random_uuid(), '', clock_timestamp())"""


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0005_horizon")]

    operations = [
        migrations.AddField(
            model_name="subscriberrow",
            name="began_after",
            field=models.BigIntegerField(default=0, help_text="the position after which it began to follow the log"),
        ),
        migrations.CreateModel(
            name="LogIdentity",
            fields=[
                ("id", models.BooleanField(default=True, primary_key=True, serialize=False)),
                ("database", models.TextField(help_text="as the server tells: cluster, database, timeline")),
                ("epoch", models.UUIDField(help_text="names this log: positions of another epoch mean other events")),
                ("confirmed_by", models.TextField(blank=True, default="")),
                ("confirmed_at", models.DateTimeField(db_default=eventstore.models.ClockTimestamp())),
            ],
            options={
                "verbose_name": "identity of the log",
                "verbose_name_plural": "identity of the log",
                "db_table": "eventstore_identity",
                "permissions": [("confirm_identity", "Can let a copy of the log act")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", True)), name="eventstore_identity_one"),
                ],
            },
        ),
        migrations.RunSQL(REMEMBER, migrations.RunSQL.noop),
    ]
