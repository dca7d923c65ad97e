from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0022_deleted_login"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="customerprofile",
            index=models.Index(Upper("email"), name="ordering_customer_email_upper"),
        ),
        migrations.RemoveIndex(
            model_name="customerprofile",
            name="ordering_customer_email",
        ),
    ]
