"""What was called mending is a repair, and the types that a generation wants are known by a hash. Data is kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projections", "0003_indexes")]

    operations = [
        migrations.RenameField("generation", "wanted", "types_hash"),
        migrations.AlterField(
            "generation",
            "purpose",
            models.TextField(
                choices=[
                    ("rebuild", "Rebuild"),
                    ("rollback", "Rollback"),
                    ("verify", "Verify"),
                    ("repair", "Repair"),
                ],
                default="rebuild",
            ),
        ),
        migrations.AlterField(
            "generation",
            "status",
            models.TextField(
                choices=[
                    ("building", "Building"),
                    ("live", "Live"),
                    ("old", "Old"),
                    ("verified", "Verified"),
                    ("repaired", "Repaired"),
                    ("dropped", "Dropped"),
                    ("cancelled", "Cancelled"),
                    ("failed", "Failed"),
                ],
                default="building",
            ),
        ),
        migrations.AlterField(
            "generation",
            "lower",
            models.TextField(blank=True, default="", help_text="where its range of the keys begins"),
        ),
        migrations.AlterField(
            "generation",
            "upper",
            models.TextField(blank=True, default="", help_text="where its range of the keys ends, empty for the end"),
        ),
        migrations.RunSQL(
            [
                "UPDATE projections_generation SET purpose = 'repair' WHERE purpose = 'mend'",
                "UPDATE projections_generation SET status = 'repaired' WHERE status = 'mended'",
            ],
            [
                "UPDATE projections_generation SET purpose = 'mend' WHERE purpose = 'repair'",
                "UPDATE projections_generation SET status = 'mended' WHERE status = 'repaired'",
            ],
        ),
    ]
