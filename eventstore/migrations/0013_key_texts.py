from django.db import migrations

# A key that may be too long for an index is parked under its beginning and a hash of it. Such keys that were parked
# before, for they could be compressed, would hold back nothing any more.
SHORTEN = """UPDATE {table}
    SET key = left(key, 100) || ' (sha256 ' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || ')'
    WHERE octet_length(key) > 2000"""


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0012_skew")]

    operations = [
        migrations.RunSQL(SHORTEN.format(table=table), migrations.RunSQL.noop)
        for table in ("eventstore_parked", "eventstore_discardedevent")
    ]
