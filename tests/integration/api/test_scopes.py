"""Tokens for machines do no more than their scopes say, and no more than their user may."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken

from ordering import tokens
from ordering.api.access import SCOPES, scope_of
from ordering.api.views import View
from ordering.models import MachineToken
from tests.integration import shop
from tests.integration.api.caller import Caller, assert_problem, caller_for, customer, nothing_written, placing
from tests.integration.api.walk import views

pytestmark = pytest.mark.usefixtures("clean")

METHODS = ("get", "post", "put", "patch", "delete")
OPEN = {
    *(("auth/token", "post"), ("auth/token", "delete"), ("auth/password/reset", "post"), ("auth/password", "post")),
    ("auth/email/confirm", "post"),
}


def machine(user, *scopes):
    token, secret = AuthToken.objects.create(user=user, prefix=tokens.MACHINE)
    MachineToken.objects.create(token=token, name="till", scopes=list(scopes))
    return Caller(secret)


def superuser():
    return User.objects.create_superuser("till")


def calls():
    """Each call of the API, and what it needs."""
    for path, view in views():
        if view.schema is not None:
            for method in METHODS:
                if hasattr(view, method):
                    yield path.removeprefix("api/v1/"), method, scope_of(view.scope, method.upper())


def test_every_view_says_what_it_is_about():
    assert [path for path, view in views() if not hasattr(view, "scope")] == []
    assert "scope" not in vars(View)


def test_the_scopes_that_can_be_given_are_those_of_the_calls():
    assert {scope for _, _, scope in calls() if scope} == set(SCOPES)
    assert list(SCOPES) == sorted(SCOPES)


def test_every_call_but_those_that_are_about_a_login_itself_is_refused_without_its_scope():
    caller = machine(superuser(), "nothing:read")
    without = set()
    for path, method, scope in calls():
        if scope is None:
            without.add((path, method))
            continue
        address = "/" + path.replace("<str:name>", "crm").replace("<int:delivery_id>", "1")
        address = re.sub("<id:[a-z_]+>", "01890000-0000-7000-8000-00000000000a", address)
        with nothing_written():
            problem = assert_problem(caller.call(method.upper(), address, {}), 403, "insufficient-scope")
        assert scope in problem["detail"]
    assert without == OPEN | {("webhooks/payments/<str:provider>", "post")}


def test_with_its_scopes_a_token_does_what_its_user_may():
    ada, conference = shop.customer(), shop.conference_on_sale()
    caller = machine(superuser(), "orders:read", "orders:write")
    assert caller.post("/orders", placing(ada, conference)).status_code == 201
    assert caller.get("/orders").status_code == 200
    assert_problem(caller.get(f"/customers/{ada}"), 403, "insufficient-scope")


def test_to_read_is_not_to_write():
    ada, conference = shop.customer(), shop.conference_on_sale()
    caller = machine(superuser(), "orders:read")
    with nothing_written():
        problem = assert_problem(caller.post("/orders", placing(ada, conference)), 403, "insufficient-scope")
    assert problem["detail"] == "This token has no scope orders:write."


def test_a_scope_gives_nothing_that_its_user_may_not():
    ada, _ = customer()
    caller = machine(User.objects.create_user("nobody"), *SCOPES)
    assert_problem(caller.get(f"/customers/{ada}"), 404, "not-found")
    assert_problem(caller.get("/events"), 403, "permission-denied")


def test_a_token_whose_scopes_are_gone_does_nothing():
    caller = machine(superuser(), *SCOPES)
    MachineToken.objects.all().delete()
    assert_problem(caller.get("/orders"), 403, "insufficient-scope")


def test_a_token_without_scopes_acts_as_its_user_and_asks_for_none():
    caller = caller_for(superuser())
    with CaptureQueriesContext(connection) as queries:
        assert caller.get("/orders").status_code == 200
    assert not [each for each in queries if "ordering_machinetoken" in each["sql"]]


def test_one_sees_what_ones_tokens_may():
    caller = machine(superuser(), "tokens:read")
    (token,) = caller.get("/auth/tokens").json()["results"]
    assert (token["name"], token["scopes"]) == ("till", ["tokens:read"])


@pytest.fixture
def boss(client):
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    return boss


def make(client, user, **more):
    expiry = timezone.now() + timedelta(days=30)
    said = {"user": user.pk, "expiry_0": f"{expiry:%Y-%m-%d}", "expiry_1": f"{expiry:%H:%M:%S}", **more}
    return client.post(reverse("admin:knox_authtoken_add"), said, follow=True)


def test_a_superuser_makes_a_token_with_a_name_scopes_and_an_expiry(client, boss):
    page = make(client, superuser(), name="till", scopes=["conferences:read", "orders:read"]).content.decode()
    secret = re.search(r"TOKEN (\w+)", page)
    assert secret
    assert secret[1].startswith(tokens.MACHINE)
    assert "till" in page
    assert "conferences:read, orders:read" in page
    caller = Caller(secret[1])
    assert caller.get("/orders").status_code == 200
    assert_problem(caller.get("/events"), 403, "insufficient-scope")
    token = AuthToken.objects.get()
    assert token.expiry is not None
    assert client.get(reverse("admin:knox_authtoken_change", args=[token.pk])).status_code == 200


def test_a_token_without_scopes_is_made_as_ever(client, boss):
    page = make(client, superuser()).content.decode()
    secret = re.search(r"TOKEN (\w+)", page)
    assert secret
    assert not MachineToken.objects.exists()
    assert Caller(secret[1]).get("/events").status_code == 200


@pytest.mark.parametrize("said", [{"name": "till"}, {"scopes": ["orders:read"]}, {"name": "x", "scopes": ["all"]}])
def test_a_name_and_scopes_go_together(client, boss, said):
    make(client, superuser(), **said)
    assert not AuthToken.objects.exists()


def test_the_scopes_go_with_their_token(client, boss):
    machine(superuser(), "orders:read")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM knox_authtoken")
    assert not MachineToken.objects.exists()
