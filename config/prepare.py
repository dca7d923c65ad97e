"""Makes a database usable: migrations, a first administrator, something to look at. Run by `config.run`, as a process
of its own because only it needs Django.
"""

import os

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from config import administrator
from config.bundled.home import Home


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    call_command("migrate", database="owner", interactive=False, verbosity=0)
    ensure_admin(Home(settings.BOXOFFICE_HOME), os.environ.get("BOXOFFICE_ADMIN_PASSWORD"))
    if not has_conferences():
        call_command("simulate", demo=True)


def ensure_admin(home: Home, wish: str | None) -> None:
    """There is an administrator, whose password is the one wished for; without a wish, one that the home remembers.

    A password that was changed in the admin stays changed, and the home forgets the first one.
    """
    from django.contrib.auth import get_user_model

    users = get_user_model()._default_manager.db_manager("owner")
    admin = users.filter(username=administrator.NAME).first()
    if wish is not None or (admin is not None and not admin.check_password(home.known_secret(administrator.PASSWORD))):
        home.forget_secret(administrator.PASSWORD)
    if admin is None:
        admin = users.model(username=administrator.NAME, is_staff=True, is_superuser=True)
        admin.set_password(wish or home.secret(administrator.PASSWORD))
        admin.save(using="owner")
    elif wish is not None and not admin.check_password(wish):
        admin.set_password(wish)
        admin.save(using="owner")


def has_conferences() -> bool:
    """Whether the log has ever heard of one."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM eventstore_event WHERE category = 'conference')")
        return bool(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
