import pytest


@pytest.fixture
def staff(client):
    """Logs somebody of the staff in, with these permissions."""
    from django.contrib.auth.models import Permission, User

    def enter(*permissions: str, superuser: bool = False) -> User:
        user = User.objects.create_user("ada", is_staff=True, is_superuser=superuser)
        for each in permissions:
            app, codename = each.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client.force_login(user)
        return user

    return enter
