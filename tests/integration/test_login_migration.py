"""Logins that were named after addresses are named after mailboxes."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection

from eventstore.context import new_id
from ordering.models import CustomerAccount

pytestmark = pytest.mark.usefixtures("clean")
rename = import_module("ordering.migrations.0024_logins_of_mailboxes").rename


def login(email, *, customer=True):
    user = User.objects.create(username=email.casefold(), email=email)
    if customer:
        CustomerAccount.objects.create(user=user, customer_id=new_id())
    return user


def renamed(user):
    with connection.schema_editor() as editor:
        rename(apps, editor)
    user.refresh_from_db()
    return user.username


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("Ada@B\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@stra\u00dfe.example", "ada@xn--strae-oqa.example"),
        ("Ada@Example.org", "ada@example.org"),
        ("ada@\u2603.example", "ada@\u2603.example"),
    ],
)
def test_the_login_of_a_customer_has_the_name_of_the_mailbox(email, name):
    assert renamed(login(email)) == name


def test_a_name_that_somebody_has_is_left_to_them():
    login("ada@xn--bcher-kva.example")
    assert renamed(login("ada@b\u00fccher.example")) == "ada@b\u00fccher.example"


def test_the_login_of_staff_keeps_its_name():
    assert renamed(login("ada@b\u00fccher.example", customer=False)) == "ada@b\u00fccher.example"
