from django.db import migrations

from eventstore.sql import Install


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0004_watch")]

    operations = [
        Install(
            "horizon_v2.sql",
            digest="c94f4f8fa0d002725b8dafc666c25f91afd2675f0477fe852a67bcdc67f3df71",
            reverse_sql="DROP FUNCTION eventstore_horizon_v2",
        ),
    ]
