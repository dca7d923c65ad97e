"""Who gives rights to whom: only superusers, whatever is sent to which form."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

pytestmark = pytest.mark.usefixtures("clean", "quick_passwords")

MANAGER = [f"auth.{act}_{model}" for act in ("view", "add", "change", "delete") for model in ("user", "group")]
TOKENS = [f"knox.{act}_authtoken" for act in ("view", "add", "change", "delete")]
PASSWORD = "correct horse battery"
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


@pytest.fixture
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def manager(staff):
    """Staff who may do anything to users, groups and tokens, but are no superuser."""
    return staff(*MANAGER, *TOKENS)


@pytest.fixture
def group():
    return Group.objects.create(name="storefront")


def made(kind, group):
    user = User.objects.create_user(f"the-{kind}", is_staff=kind in ("staff", "superuser"))
    user.is_superuser = kind == "superuser"
    user.save()
    if kind == "member":
        user.groups.add(group)
    if kind == "permitted":
        user.user_permissions.add(Permission.objects.get(codename="refund_payment"))
    return user


def page(user, name="change"):
    return reverse(f"admin:auth_user_{name}", args=[user.pk])


def everything(user, group):
    """A form that a browser would never send: it asks for every right there is."""
    return {
        "username": user.username,
        "first_name": "Changed",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [group.pk],
        "user_permissions": list(Permission.objects.values_list("pk", flat=True)),
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        "last_login_0": "2026-01-01",
        "last_login_1": "00:00:00",
    }


def rights(user):
    user = User.objects.get(pk=user.pk)
    return user.is_staff, user.is_superuser, user.groups.count(), user.user_permissions.count()


@pytest.mark.parametrize("whom", ["themselves", "customer"])
def test_staff_give_no_rights_whatever_they_send(client, manager, group, whom):
    user = manager if whom == "themselves" else made("customer", group)
    before = rights(user)
    fields = client.get(page(user)).context["adminform"].form.fields
    assert not set(RIGHTS) & set(fields)
    assert client.post(page(user), everything(user, group)).status_code == 302
    assert rights(user) == before
    assert User.objects.get(pk=user.pk).first_name == "Changed"


@pytest.mark.parametrize("whom", ["superuser", "staff", "member", "permitted"])
def test_staff_touch_nobody_who_has_rights(client, manager, group, whom):
    user = made(whom, group)
    before = (rights(user), User.objects.get(pk=user.pk).password)
    assert client.get(page(user)).status_code == 200
    assert client.post(page(user), everything(user, group)).status_code == 403
    assert client.get(page(user, "password_change")).status_code == 403
    changed = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert client.post(page(user, "password_change"), changed).status_code == 403
    assert client.post(page(user, "delete"), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
    assert client.post(reverse("admin:auth_user_changelist"), selected).status_code in (200, 302, 403)
    assert (rights(user), User.objects.get(pk=user.pk).password) == before
    assert User.objects.get(pk=user.pk).first_name == ""


def test_who_staff_add_has_no_rights(client, manager, group):
    said = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    forged = everything(manager, group) | said
    assert client.post(reverse("admin:auth_user_add"), forged).status_code == 302
    assert rights(User.objects.get(username="eve")) == (False, False, 0, 0)


def test_staff_set_the_passwords_of_customers(client, manager, group):
    user = made("customer", group)
    changed = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert client.post(page(user, "password_change"), changed).status_code == 302
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_staff_change_no_groups(client, manager, group):
    manager.groups.add(group)
    said = {"name": "storefront", "permissions": list(Permission.objects.values_list("pk", flat=True))}
    assert client.post(reverse("admin:auth_group_change", args=[group.pk]), said).status_code == 403
    assert client.post(reverse("admin:auth_group_add"), said | {"name": "mine"}).status_code == 403
    assert client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403
    assert (Group.objects.count(), group.permissions.count()) == (1, 0)


def test_staff_end_tokens_and_make_none(client, manager, group):
    boss = made("superuser", group)
    token, _ = AuthToken.objects.create(user=boss)
    assert client.get(reverse("admin:knox_authtoken_add")).status_code == 403
    assert client.post(reverse("admin:knox_authtoken_add"), {"user": boss.pk}).status_code == 403
    change = reverse("admin:knox_authtoken_change", args=[token.pk])
    assert client.post(change, {"user": manager.pk, "token_key": "x"}).status_code == 403
    assert AuthToken.objects.get().user == boss
    assert client.post(reverse("admin:knox_authtoken_delete", args=[token.pk]), {"post": "yes"}).status_code == 302
    assert not AuthToken.objects.exists()


def test_superusers_give_rights(client, staff, group):
    staff(superuser=True)
    user = made("customer", group)
    assert client.post(page(user), everything(user, group)).status_code == 302
    assert rights(user)[:3] == (True, True, 1)
    said = {"name": "desk", "permissions": []}
    assert client.post(reverse("admin:auth_group_change", args=[group.pk]), said).status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "/admin/login/",
        "/admin/password_change/",
        "/admin/auth/user/add/",
        "/admin/sagas/outboxcommand/",
        "/admin/eventstore/subscriberrow/operate/pause/order-summaries/",
    ],
)
def test_what_another_site_has_a_browser_send_is_refused(staff, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff(superuser=True))
    assert browser.get(path).status_code in {200, 302}
    assert browser.post(path, {"username": "ada"}).status_code == 403
