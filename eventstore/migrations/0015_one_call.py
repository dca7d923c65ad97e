"""To load a command's stream, and to begin to feed, are one call each."""

from django.db import migrations, models

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0014_failures")]

    operations = [
        Install(
            "load_v1.sql",
            digest="976d970921813acdcf2dcc615fb41e6119f3b713a0d8830a9906659dd9f8ed7d",
            reverse_sql="DROP FUNCTION eventstore_load_v1",
        ),
        Install(
            "acquire_v1.sql",
            digest="9125fd5d7ab30f25c01d9e162b431d56a117bba24ca3b3dabc735707a7397f04",
            reverse_sql="DROP FUNCTION eventstore_acquire_v1",
        ),
        migrations.AddIndex(
            model_name="discardedevent",
            index=models.Index(fields=["position"], name="eventstore_discarded_position"),
        ),
    ]
