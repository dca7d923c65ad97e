"""What lies far ahead of a subscriber is found by a plan that knows what it is to find."""

from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0019_imports")]

    operations = [
        Install(
            "acquire_v3.sql",
            digest="fdd052e114e72914ae6fc451073f3e610bdbd594738b3a8b8d79d9f45a3a7a8a",
            reverse_sql="DROP FUNCTION eventstore_acquire_v3",
        ),
        Install(
            "take_turn_v2.sql",
            digest="ee38ae5ea8a5c8585033308cb063043058fa4f5e4b643937dfa9e31a4abb4ab4",
            reverse_sql="DROP FUNCTION eventstore_take_turn_v2",
        ),
    ]
