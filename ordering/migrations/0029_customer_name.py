from django.db import migrations


class Migration(migrations.Migration):
    """Calls customers what the menu calls them."""

    dependencies = [("ordering", "0028_email_confirmed")]

    operations = [
        migrations.AlterModelOptions(
            name="customerprofile",
            options={"ordering": ["-registered_at", "-customer_id"], "verbose_name": "customer"},
        ),
    ]
