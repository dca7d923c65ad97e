"""Logins of customers are named after their mailboxes, whose domains are A-labels."""

import idna
from django.db import migrations


def rename(apps, schema_editor):
    user = apps.get_model("auth", "User")
    users = user.objects.using(schema_editor.connection.alias)
    for login in users.filter(customer__isnull=False, email__regex="[^\\u0001-\\u007f]").iterator():
        local, _, domain = login.email.strip().rpartition("@")
        try:
            name = f"{local.casefold()}@{idna.encode(domain, uts46=True, std3_rules=True).decode()}"
        except UnicodeError:
            continue
        if len(name) <= 150 and not users.filter(username=name).exists():
            login.username = name
            login.save(update_fields=["username"])


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0023_email_in_any_case"),
        migrations.swappable_dependency("auth.User"),
    ]

    operations = [migrations.RunPython(rename, migrations.RunPython.noop)]
