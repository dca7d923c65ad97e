"""What a form of the admin asks for twice is carried out once."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0020_far_ahead")]

    operations = [
        migrations.AddField(
            model_name="operatoraction",
            name="request_id",
            field=models.UUIDField(blank=True, help_text="of the form that asked for it", null=True),
        ),
        migrations.AddConstraint(
            model_name="operatoraction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("refused", False)), fields=("request_id",), name="eventstore_operation_once"
            ),
        ),
    ]
