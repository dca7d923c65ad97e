import django.db.models.deletion
from django.db import migrations, models

import eventstore.models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0010_permissions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "number",
                    models.IntegerField(
                        db_default=0, default=0, help_text="since staff had it tried again last, from 1"
                    ),
                ),
                ("at", models.DateTimeField(db_default=eventstore.models.ClockTimestamp())),
                ("error", models.TextField(blank=True, db_default="", default="")),
                ("batch", models.UUIDField(help_text="of what staff had tried again in one go", null=True)),
                ("by", models.TextField(blank=True, db_default="", default="", help_text="who of the staff")),
            ],
        ),
        migrations.RemoveIndex(
            model_name="outboxcommand",
            name="sagas_outbox_unanswered",
        ),
        migrations.AddIndex(
            model_name="outboxcommand",
            index=models.Index(
                condition=models.Q(("status__in", ["parked", "unanswered"])),
                fields=["status", "id"],
                name="sagas_outbox_troubled",
            ),
        ),
        migrations.RemoveIndex(
            model_name="timer",
            name="sagas_timer_due",
        ),
        migrations.AddIndex(
            model_name="timer",
            index=models.Index(
                condition=models.Q(("status", "waiting")), fields=["due_at", "id"], name="sagas_timer_next"
            ),
        ),
        migrations.AddField(
            model_name="attempt",
            name="command",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="sagas.outboxcommand",
            ),
        ),
        migrations.AddField(
            model_name="attempt",
            name="delivery",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="sagas.delivery",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("command", None), _negated=True),
                fields=["command", "id"],
                name="sagas_attempt_command",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("delivery", None), _negated=True),
                fields=["delivery", "id"],
                name="sagas_attempt_delivery",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("batch", None), _negated=True), fields=["batch"], name="sagas_attempt_batch"
            ),
        ),
    ]
