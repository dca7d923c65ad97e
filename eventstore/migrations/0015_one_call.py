"""To load a command's stream, and to begin to feed, are one call each."""

from django.db import migrations, models
from django.db.models import Value
from django.db.models.functions import Cast, Concat

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0014_failures")]

    operations = [
        migrations.AddField(
            "subscriberrow",
            "identity",
            models.GeneratedField(
                expression=Concat(
                    "name",
                    Value(" "),
                    Cast("version", models.TextField()),
                    Value(" "),
                    "types_hash",
                    output_field=models.TextField(),
                ),
                output_field=models.TextField(),
                db_persist=True,
                help_text="what a process must know it by to feed it: name, version and event types",
            ),
        ),
        Install(
            "load_v1.sql",
            digest="976d970921813acdcf2dcc615fb41e6119f3b713a0d8830a9906659dd9f8ed7d",
            reverse_sql="DROP FUNCTION eventstore_load_v1",
        ),
        Install(
            "acquire_v1.sql",
            digest="36925e4fa9da48009d9ccb320be6f41d2a6b15b0bac51985fe868041d1e136ac",
            reverse_sql="DROP FUNCTION eventstore_acquire_v1",
        ),
        migrations.AddIndex(
            model_name="discardedevent",
            index=models.Index(fields=["position"], name="eventstore_discarded_position"),
        ),
    ]
