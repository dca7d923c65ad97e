from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0013_key_texts")]

    operations = [
        migrations.AlterField(
            "subscriberrow", "failures", models.IntegerField(default=0, help_text="in a row, that were no event's")
        ),
    ]
