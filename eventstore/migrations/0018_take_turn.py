"""A crowd that waits for a feeder waits in the database, but for the one who is next."""

from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0017_await_feeder")]

    operations = [
        Install(
            "take_turn_v1.sql",
            digest="44d88720341687fd9a4e1104dd99118af69c0b96c44b82ae2f4868811a7be5f0",
            reverse_sql="DROP FUNCTION eventstore_take_turn_v1",
        ),
    ]
