from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

# Processes of the former version, which know nothing of this table, go on deleting tokens.
FOLLOWS = """
ALTER TABLE ordering_machinetoken ADD CONSTRAINT ordering_machinetoken_of_token
    FOREIGN KEY (token_id) REFERENCES knox_authtoken (digest) ON DELETE CASCADE
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0026_uses_of_tokens"),
    ]

    operations = [
        migrations.CreateModel(
            name="MachineToken",
            fields=[
                (
                    "token",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="machine",
                        serialize=False,
                        to="knox.authtoken",
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("scopes", ArrayField(base_field=models.CharField(max_length=50), size=None)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunSQL(FOLLOWS, migrations.RunSQL.noop),
    ]
