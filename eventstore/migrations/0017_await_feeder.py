"""To wait for whoever feeds keeps nobody else from feeding."""

from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0016_stuck")]

    operations = [
        Install(
            "await_feeder_v1.sql",
            digest="98dbb7c6d6ffb65f66a4160abc46a2d25089cfa115b122e9d16b5ba57150d423",
            reverse_sql="DROP FUNCTION eventstore_await_feeder_v1",
        ),
    ]
