"""The horizon counts prepared transactions, and an append is durable on a standby too."""

from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0009_snapshot_last_event")]

    operations = [
        Install(
            "horizon_v3.sql",
            digest="e2c277e5eca26bdf41eff1da7324539e762cfb861abe3a34f8b230cdeee6cded",
            reverse_sql="DROP FUNCTION eventstore_horizon_v3",
        ),
        Install(
            "append_v2.sql",
            digest="988241342f47d5706103180ec41d30e10615ac1bc8e4a312756a541d8ff71ebb",
            reverse_sql="DROP FUNCTION eventstore_append_v2",
        ),
    ]
