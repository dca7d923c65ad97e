from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0001_initial")]

    operations = [
        Install(
            "append_only_v1.sql",
            digest="87275c4a4c3ce8b7600007f0518470b9b3f9360c3583fb5aab8a9814a40f33a4",
            reverse_sql="DROP FUNCTION eventstore_append_only_v1 CASCADE",
        ),
        Install(
            "horizon_v1.sql",
            digest="8d11aaf8ec5a1f626775a0307249635ec80a46eca25135f4508f17d52d0bb096",
            reverse_sql="DROP FUNCTION eventstore_horizon_v1",
        ),
        Install(
            "append_v1.sql",
            digest="a9d354fc706f75bf96c995ef8a36c07f0931109b2f13b6e9404f98d2093a410b",
            reverse_sql="DROP FUNCTION eventstore_append_v1",
        ),
    ]
