"""Events are found by their correlation, and what is parked by its position. The indexes are made while events are
appended; one that was not finished is to be dropped before this is run again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("eventstore", "0023_permissions")]

    operations = [
        AddIndexConcurrently(
            model_name="storedevent",
            index=models.Index(fields=["correlation_id", "position"], name="eventstore_event_correlation"),
        ),
        AddIndexConcurrently(
            model_name="parkedevent",
            index=models.Index(fields=["position"], name="eventstore_parked_position"),
        ),
    ]
