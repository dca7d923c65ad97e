"""Tokens."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken

from tests.integration.api.caller import PASSWORD, Caller, assert_problem

pytestmark = pytest.mark.usefixtures("clean", "quick_passwords")


@pytest.fixture
def ada():
    return User.objects.create_user("ada@example.org", password=PASSWORD)


def login(email="ada@example.org", password=PASSWORD):
    return Caller().post("/auth/token", {"email": email, "password": password})


def test_a_password_is_exchanged_for_a_token_that_opens_doors(ada):
    answer = login(" ADA@Example.org ")
    assert answer.status_code == 201
    assert set(answer.json()) == {"token", "expires_at"}
    assert answer.json()["expires_at"].endswith("Z")
    assert Caller(answer.json()["token"]).get("/orders").status_code == 200


@pytest.mark.parametrize("name", ["Boss", "Ops@Example.org", "ΑΔΑ"])
def test_staff_whose_names_have_capitals_get_tokens_too(name):
    User.objects.create_user(name, password=PASSWORD, is_staff=True)
    assert login(name).status_code == 201
    assert login(f" {name} ").status_code == 201


def test_a_revoked_token_opens_nothing(ada):
    caller = Caller(login().json()["token"])
    assert caller.delete("/auth/token").status_code == 204
    refused = caller.get("/orders")
    assert_problem(refused, 401, "authentication-failed")
    assert refused.headers["WWW-Authenticate"] == "Token"


def test_with_a_new_password_the_tokens_of_the_old_one_are_over(ada):
    stolen = Caller(login().json()["token"])
    ada.set_password("another horse battery")
    ada.save()
    assert_problem(stolen.get("/orders"), 401, "authentication-failed")
    assert Caller(login(password="another horse battery").json()["token"]).get("/orders").status_code == 200


def test_a_password_that_is_merely_hashed_anew_ends_no_token(ada, settings):
    caller = Caller(login().json()["token"])
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    before = ada.password
    login()
    ada.refresh_from_db()
    assert ada.password != before
    assert caller.get("/orders").status_code == 200


def test_revoking_needs_a_token():
    assert_problem(Caller().delete("/auth/token"), 401, "not-authenticated")


def test_an_unknown_address_a_wrong_password_and_a_closed_login_are_answered_alike(ada):
    User.objects.create_user("closed@example.org", password=PASSWORD, is_active=False)
    User.objects.create_user("none@example.org")
    answers = [
        login("nobody@example.org"),
        login(password="another"),
        login("closed@example.org"),
        login("none@example.org"),
    ]
    bodies = [assert_problem(answer, 401, "invalid-credentials") for answer in answers]
    assert len({body["detail"] for body in bodies}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Token"}


def test_an_expired_token_does_not_hinder_from_getting_a_new_one(ada):
    token = login().json()["token"]
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert_problem(Caller(token).get("/orders"), 401, "authentication-failed")
    again = Caller(token).post("/auth/token", {"email": "ada@example.org", "password": PASSWORD})
    assert again.status_code == 201


def test_who_signs_in_leaves_behind_what_has_expired_and_nothing_else(ada):
    stale, kept = (login().json()["token"] for _ in range(2))
    AuthToken.objects.filter(token_key=stale[:15]).update(expiry=timezone.now() - timedelta(seconds=1))
    assert AuthToken.objects.count() == 2
    login()
    assert AuthToken.objects.count() == 2
    assert Caller(kept).get("/orders").status_code == 200
    assert_problem(Caller(stale).get("/orders"), 401, "authentication-failed")


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token \xe9\xff", "Token ' OR 1=1", "Basic YTpi", "Token %00"]
)
def test_a_header_that_is_no_token_is_refused(header):
    response = Caller().get("/orders", Authorization=header)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Token"
