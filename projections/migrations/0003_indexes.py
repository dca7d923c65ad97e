from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projections", "0002_parts"),
    ]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="indexes",
            field=models.JSONField(
                blank=True, default=dict, help_text="by name: the statements that make them, once the table is filled"
            ),
        ),
    ]
