"""A timer counts the hops of the chain that it goes on with."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0005_history")]

    operations = [
        migrations.AddField(
            "timer",
            "hops",
            models.IntegerField(db_default=0, default=0, help_text="of its command: 0 where that begins a chain anew"),
        ),
    ]
