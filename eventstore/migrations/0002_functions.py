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
            digest="e45cce86985a543e5cb1ebaf96578a488979a05b3e46957b55de189cb72408e0",
            reverse_sql="DROP FUNCTION eventstore_append_v1",
        ),
    ]
