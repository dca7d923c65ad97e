"""Tables and permissions get the names that the field has for them; what a delivery waits for is told by kind."""

from django.db import migrations, models
from django.db.models import Q

from eventstore.migration_operations import RenamePermissions, of_model

# What waited was told by its text until now, and what waits for a checkpoint is due at the end of time.
_TELL_REASONS = """UPDATE sagas_delivery SET wait_reason = CASE
        WHEN due_at = timestamptz '9999-01-01 00:00:00+00' THEN 'checkpoint'
        WHEN waits_for LIKE '%(parked)' THEN 'parked key'
        ELSE 'send window' END
    WHERE status = 'waiting'"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0003_refused")]

    operations = [
        migrations.RemoveIndex("outgoing", "sagas_outgoing_unfinished"),
        migrations.RemoveIndex("outgoing", "sagas_outgoing_root"),
        migrations.RemoveIndex("outgoing", "sagas_outgoing_refused"),
        migrations.RenameModel("Outgoing", "OutboxCommand"),
        migrations.AlterModelTable("outboxcommand", "sagas_outbox"),
        migrations.AddIndex(
            "outboxcommand",
            models.Index(
                condition=Q(("status__in", ["pending", "parked"])),
                fields=["saga", "key", "id"],
                name="sagas_outbox_unfinished",
            ),
        ),
        migrations.AddIndex("outboxcommand", models.Index(fields=["root"], name="sagas_outbox_root")),
        migrations.AddIndex(
            "outboxcommand",
            models.Index(
                condition=Q(("status__in", ["refused", "abandoned"])),
                fields=["status", "id"],
                name="sagas_outbox_refused",
            ),
        ),
        migrations.AlterModelOptions(
            "outboxcommand",
            {
                "permissions": [("resolve_command", "Can retry and abandon commands of sagas")],
                "verbose_name": "outbox command",
            },
        ),
        migrations.AlterModelOptions("timer", {"permissions": [("resolve_timer", "Can move and cancel timers")]}),
        migrations.AlterModelOptions(
            "delivery",
            {
                "permissions": [
                    ("resolve_delivery", "Can retry and abandon deliveries, and say what became of those in doubt"),
                    ("copy_delivery", "Can have what was delivered delivered once more"),
                ],
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.AddField(
            "delivery",
            "wait_reason",
            models.TextField(
                blank=True,
                choices=[
                    ("checkpoint", "Checkpoint"),
                    ("parked key", "Parked Key"),
                    ("send window", "Send Window"),
                ],
                db_default="",
                default="",
                help_text="of which kind that is, while it waits",
            ),
        ),
        migrations.RunSQL(_TELL_REASONS, migrations.RunSQL.noop),
        migrations.RenameModel("Pace", "RateLimit"),
        migrations.AlterModelTable("ratelimit", "sagas_rate_limit"),
        RenamePermissions(
            "sagas",
            renamed={
                **of_model("outgoing", "outboxcommand"),
                **of_model("pace", "ratelimit"),
                "settle_command": "resolve_command",
                "settle_timer": "resolve_timer",
                "settle_delivery": "resolve_delivery",
                "resend_delivery": "copy_delivery",
            },
        ),
    ]
