from django.db import migrations, models

# Processes of the former version, which know nothing of this table, go on deleting tokens.
FOLLOWS = """
ALTER TABLE ordering_tokenuse ADD CONSTRAINT ordering_tokenuse_of_token
    FOREIGN KEY (token_id) REFERENCES knox_authtoken (digest) ON DELETE CASCADE
"""


class Migration(migrations.Migration):
    dependencies = [
        ("knox", "0009_extend_authtoken_field"),
        ("ordering", "0025_keyed_calls"),
    ]

    operations = [
        migrations.CreateModel(
            name="TokenUse",
            fields=[
                (
                    "token",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="use",
                        serialize=False,
                        to="knox.authtoken",
                    ),
                ),
                ("used_at", models.DateTimeField(help_text="the beginning of the hour")),
            ],
            options={
                "verbose_name": "use of a token",
                "verbose_name_plural": "uses of tokens",
                "default_permissions": (),
            },
        ),
        migrations.RunSQL(FOLLOWS, migrations.RunSQL.noop),
    ]
