"""Tables, columns and permissions get the names that the field has for them. Data is kept."""

import django.db.models.deletion
from django.db import migrations, models

import eventstore.models
from eventstore.migration_operations import RenamePermissions, of_model

# Notifiers are known by the path of their function; those of the project itself have moved.
_MOVE_NOTIFIERS = """UPDATE eventstore_notification SET notifier = 'eventstore.monitoring.notifications.mail_admins'
    WHERE notifier = 'eventstore.telling.mail_admins'"""
_MOVE_NOTIFIERS_BACK = """UPDATE eventstore_notification SET notifier = 'eventstore.telling.mail_admins'
    WHERE notifier = 'eventstore.monitoring.notifications.mail_admins'"""


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0006_identity")]

    operations = [
        migrations.RenameModel("Warned", "HandlerWarning"),
        migrations.RenameModel("Pulse", "WorkerHeartbeat"),
        migrations.AlterModelTable("workerheartbeat", "eventstore_heartbeat"),
        migrations.RenameModel("Notice", "Notification"),
        migrations.RemoveIndex("notification", "eventstore_notice_untold"),
        migrations.RemoveConstraint("notification", "eventstore_notice_once"),
        migrations.AlterModelTable("notification", "eventstore_notification"),
        migrations.RenameField("notification", "channel", "notifier"),
        migrations.RenameField("notification", "tell_at", "due_at"),
        migrations.RenameField("notification", "told_at", "sent_at"),
        migrations.AlterField(
            "notification",
            "incident",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="notifications", to="eventstore.incident"
            ),
        ),
        migrations.AlterField(
            "notification",
            "notifier",
            models.TextField(help_text="the dotted path of the function that tells it"),
        ),
        migrations.AlterField(
            "notification",
            "due_at",
            models.DateTimeField(
                db_default=eventstore.models.ClockTimestamp(), help_text="not before; moved on by every attempt"
            ),
        ),
        migrations.AddConstraint(
            "notification",
            models.UniqueConstraint(fields=("incident", "notifier", "ended"), name="eventstore_notification_once"),
        ),
        migrations.AddIndex(
            "notification",
            models.Index(condition=models.Q(("sent_at", None)), fields=["id"], name="eventstore_notification_unsent"),
        ),
        migrations.RunSQL(_MOVE_NOTIFIERS, _MOVE_NOTIFIERS_BACK),
        migrations.AlterField(
            "workerheartbeat",
            "kind",
            models.TextField(choices=[("worker", "Worker"), ("beat", "Beat"), ("health-check", "Health Check")]),
        ),
        migrations.RunSQL(
            "UPDATE eventstore_heartbeat SET name = 'health-check', kind = 'health-check' WHERE kind = 'watch'",
            "UPDATE eventstore_heartbeat SET name = 'watch', kind = 'watch' WHERE kind = 'health-check'",
        ),
        migrations.RenameField("subscriberrow", "wanted", "types_hash"),
        migrations.AlterField(
            "subscriberrow", "shard", models.IntegerField(default=0, help_text="which range of the keys, from 0")
        ),
        migrations.AlterModelOptions(
            "subscriberrow",
            {
                "ordering": ["rank", "name"],
                "permissions": [
                    ("operate_subscriber", "Can pause, resume, reshard, rewind and skip subscribers"),
                    ("resolve_parked", "Can retry and discard parked events"),
                ],
                "verbose_name": "subscriber",
            },
        ),
        migrations.AlterModelOptions("operatoraction", {"ordering": ["-id"], "verbose_name": "operator action"}),
        RenamePermissions(
            "eventstore",
            renamed={
                **of_model("warned", "handlerwarning"),
                **of_model("pulse", "workerheartbeat"),
                **of_model("notice", "notification"),
                "settle_parked": "resolve_parked",
            },
        ),
    ]
