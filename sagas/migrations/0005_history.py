"""What an instance has heard of is asked of its history; of older instances it is noted from where on they have one."""

from django.db import migrations, models

# The statement that begins an instance tells the first entry of its history: one that was told later is not the first
# event of which it heard.
_NOTE_WHERE_HISTORIES_BEGIN = """UPDATE sagas_instance AS instance
    SET history_begins_after = coalesce(first.position - 1, instance.position)
    FROM sagas_instance AS same LEFT JOIN LATERAL (
        SELECT position, at FROM sagas_transition AS told WHERE told.saga = same.saga AND told.key = same.key
        ORDER BY position LIMIT 1) AS first ON true
    WHERE instance.id = same.id AND (first.at IS NULL OR first.at > same.started_at + interval '1 minute')"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0004_names")]

    operations = [
        migrations.AlterField(
            "instance", "position", models.BigIntegerField(help_text="the highest of an event that it has heard of")
        ),
        migrations.AddField(
            "instance",
            "history_begins_after",
            models.BigIntegerField(
                db_default=0,
                default=0,
                help_text="up to here its history was not kept, and every event counts as heard",
            ),
        ),
        migrations.RunSQL(_NOTE_WHERE_HISTORIES_BEGIN, migrations.RunSQL.noop),
    ]
