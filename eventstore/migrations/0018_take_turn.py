"""A crowd that waits for a feeder waits in the database, but for the one who is next; a setting says how long a feeder
may be silent.
"""

from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0017_await_feeder")]

    operations = [
        Install(
            "acquire_v2.sql",
            digest="ecd9c91867fb8525fa4c2c3ef071cf2aee1502b9bbc43f470d330241079bbbbc",
            reverse_sql="DROP FUNCTION eventstore_acquire_v2",
        ),
        Install(
            "take_turn_v1.sql",
            digest="5470a57d4007384a61b67f8b892890a84a37d162bb9bcd3520f1db18673582ed",
            reverse_sql="DROP FUNCTION eventstore_take_turn_v1",
        ),
    ]
