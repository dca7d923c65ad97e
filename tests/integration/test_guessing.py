"""Passwords are guessed slowly, from wherever, and nobody is kept out by others who guess."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from redis import Redis
from structlog.testing import capture_logs

from config import bundled
from config.bundled.valkey import Valkey
from ordering import brakes
from ordering.models import CustomerAccount
from tests.integration import shop
from tests.integration.api.caller import PASSWORD, assert_problem
from tests.servers import temporary_home

pytestmark = pytest.mark.usefixtures("clean")

HOME, OFFICE, ELSEWHERE = "192.0.2.1", "192.0.2.77", "203.0.113.{}"
ADA = "ada@example.org"


@pytest.fixture(autouse=True)
def quickly(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def patiently(monkeypatch):
    """A busy machine may leave Redis alone for longer than a request waits for it."""
    monkeypatch.setattr(brakes, "PATIENCE", 10.0)
    brakes._counters_at.cache_clear()
    yield
    brakes._counters_at.cache_clear()


@pytest.fixture
def ada():
    return User.objects.create_user(ADA, password=PASSWORD, is_staff=True)


class Api:
    """Calls for a token."""

    @staticmethod
    def sign_in(client: Client, password: str, login: str = ADA, **request: Any) -> Any:
        body = json.dumps({"email": login, "password": password})
        return client.post("/api/v1/auth/token", body, "application/json", **request)

    signed_in, wrong = 201, 401


class Admin:
    """The admin's page to sign in."""

    @staticmethod
    def sign_in(client: Client, password: str, login: str = ADA, **request: Any) -> Any:
        return client.post("/admin/login/", {"username": login, "password": password}, **request)

    signed_in, wrong = 302, 200


DOORS = [Api, Admin]


@pytest.fixture(params=DOORS)
def door(request):
    return request.param


def try_from(door, address, password="wrong", login=ADA):
    """By somebody without a cookie."""
    return door.sign_in(Client(), password, login, REMOTE_ADDR=address).status_code


def guess_from_everywhere(door, times, login=ADA):
    return [try_from(door, ELSEWHERE.format(number), login=login) for number in range(times)]


def test_an_address_tries_no_more_often_than_it_may(ada, door, settings):
    settings.THROTTLE_TOKEN = "2/min"
    assert [try_from(door, HOME, login=f"{number}@example.org") for number in range(2)] == [door.wrong] * 2
    assert try_from(door, HOME, PASSWORD) == 429
    assert try_from(door, OFFICE, PASSWORD) == door.signed_in


def test_the_api_and_the_admin_have_one_brake(ada, settings):
    settings.THROTTLE_ACCOUNT = "2/hour"
    assert [try_from(Api, HOME), try_from(Admin, OFFICE)] == [Api.wrong, Admin.wrong]
    assert [try_from(Api, HOME), try_from(Admin, OFFICE)] == [429, 429]


def test_the_admin_says_in_one_message_why_nobody_was_let_in(ada, settings):
    settings.THROTTLE_ACCOUNT = "1/hour"
    for why in ("Please enter the correct username and password", "There were too many attempts."):
        page = Admin.sign_in(Client(), "wrong").content.decode()
        (said,) = re.findall(r'class="errornote[^>]*>([^<]*)<', page)
        assert why in said
        assert "Please correct the error" not in page


def test_the_admin_says_as_ever_that_something_was_left_out(ada):
    page = Admin.sign_in(Client(), "").content.decode()
    assert "Please correct the error below" in page
    assert "This field is required" in page


@pytest.mark.parametrize("spelling", [ADA, f" {ADA.upper()} ", "ａda@example.org"])
def test_a_login_is_guessed_no_faster_from_many_addresses(ada, door, settings, spelling):
    settings.THROTTLE_ACCOUNT = "3/hour"
    assert guess_from_everywhere(door, 3) == [door.wrong] * 3
    assert try_from(door, HOME, PASSWORD, spelling) == 429


def test_a_login_that_nobody_has_is_braked_alike(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "3/hour"
    assert guess_from_everywhere(door, 5) == guess_from_everywhere(door, 5, "nobody@example.org")
    known = door.sign_in(Client(), PASSWORD, REMOTE_ADDR=HOME)
    unknown = door.sign_in(Client(), PASSWORD, "nobody@example.org", REMOTE_ADDR=HOME)
    assert set(known.headers) == set(unknown.headers)
    assert known.status_code == unknown.status_code == 429


def test_the_owner_gets_in_by_the_cookie_while_strangers_are_braked(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "3/hour"
    owner = Client()
    assert door.sign_in(owner, PASSWORD, REMOTE_ADDR=HOME).status_code == door.signed_in
    assert guess_from_everywhere(door, 4)[-1] == 429
    assert try_from(door, OFFICE, PASSWORD) == 429
    assert door.sign_in(owner, PASSWORD, REMOTE_ADDR=OFFICE).status_code == door.signed_in


def test_the_owner_gets_in_from_where_they_signed_in_before_while_strangers_are_braked(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "3/hour"
    assert try_from(door, HOME, PASSWORD) == door.signed_in
    assert guess_from_everywhere(door, 4)[-1] == 429
    assert try_from(door, HOME, PASSWORD) == door.signed_in


def test_whoever_shares_the_address_does_not_keep_the_owner_out_who_has_a_cookie(ada, door, settings):
    settings.THROTTLE_TOKEN, settings.THROTTLE_ACCOUNT = "3/min", "3/hour"
    owner = Client()
    assert door.sign_in(owner, PASSWORD, REMOTE_ADDR=HOME).status_code == door.signed_in
    assert [try_from(door, HOME) for _ in range(4)][-1] == 429
    assert door.sign_in(owner, PASSWORD, REMOTE_ADDR=HOME).status_code == door.signed_in


def test_a_known_place_guesses_no_more_than_strangers_may(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "3/hour"
    thief = Client()
    door.sign_in(thief, PASSWORD, REMOTE_ADDR=HOME)
    tries = [door.sign_in(thief, "wrong", REMOTE_ADDR=HOME).status_code for _ in range(4)]
    assert tries == [door.wrong] * 3 + [429]


def test_the_cookie_of_one_login_is_nothing_to_another(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "3/hour"
    User.objects.create_user("eve@example.org", password=PASSWORD, is_staff=True)
    eve = Client()
    assert door.sign_in(eve, PASSWORD, "eve@example.org", REMOTE_ADDR=OFFICE).status_code == door.signed_in
    assert guess_from_everywhere(door, 3) == [door.wrong] * 3
    assert door.sign_in(eve, "wrong", REMOTE_ADDR=OFFICE).status_code == 429


def test_right_passwords_are_no_guesses(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "2/hour"
    assert {try_from(door, ELSEWHERE.format(number), PASSWORD) for number in range(5)} == {door.signed_in}
    client = Client()
    assert {door.sign_in(client, PASSWORD, REMOTE_ADDR=HOME).status_code for _ in range(5)} == {door.signed_in}


def test_a_customer_learns_nothing_at_the_page_of_staff(settings):
    settings.THROTTLE_ACCOUNT = "2/hour"
    customer = User.objects.create_user("grace@example.org", password=PASSWORD)
    CustomerAccount.objects.create(user=customer, customer_id=shop.customer())
    right, wrong = (
        Admin.sign_in(Client(), password, "grace@example.org", REMOTE_ADDR=HOME) for password in (PASSWORD, "wrong")
    )
    assert right.status_code == wrong.status_code == 200
    assert right.cookies.keys() == wrong.cookies.keys()
    assert try_from(Admin, HOME, PASSWORD, "grace@example.org") == 429


def test_the_api_says_when_to_try_again(ada, settings):
    settings.THROTTLE_ACCOUNT = "1/hour"
    try_from(Api, HOME)
    refused = Api.sign_in(Client(), PASSWORD, REMOTE_ADDR=HOME)
    problem = assert_problem(refused, 429, "throttled")
    assert 3500 <= int(refused.headers["Retry-After"]) <= 3600
    assert re.search(r"Try again in (59|60) minutes\.", problem["detail"])


def test_the_admin_says_when_to_try_again_above_the_form(ada, settings):
    settings.THROTTLE_TOKEN = "1/min"
    try_from(Admin, HOME)
    refused = Admin.sign_in(Client(), PASSWORD, REMOTE_ADDR=HOME)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    page = refused.content.decode()
    assert re.search(r"There were too many attempts\. Try again in \d+ seconds\.", page)
    assert 'id="login-form"' in page
    assert PASSWORD not in page


def test_whoever_is_signed_in_does_not_guess_the_password_by_changing_it(ada, client, settings):
    settings.THROTTLE_ACCOUNT = "2/hour"
    client.force_login(ada)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}

    def change(old):
        return client.post("/admin/password_change/", {"old_password": old, **new})

    assert [change("wrong").status_code for _ in range(2)] == [200, 200]
    refused = change(PASSWORD)
    assert refused.status_code == 429
    assert "Try again in" in refused.content.decode()
    assert client.get("/admin/password_change/").status_code == 200
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)
    settings.THROTTLE_ACCOUNT = "3/hour"
    assert change(PASSWORD).status_code == 302


def test_the_log_tells_who_was_guessed_and_neither_password_nor_address(ada, door, settings):
    settings.THROTTLE_ACCOUNT = "1/hour"
    with capture_logs() as lines:
        guess_from_everywhere(door, 2)
    (line,) = [line for line in lines if line["event"] == "sign_in_braked"]
    assert line["user"] == ada.pk
    assert line["known_place"] is False
    assert not {"wrong", ADA, ELSEWHERE.format(1)} & set(map(str, line.values()))


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_addresses_that_one_has_together_count_as_one(ada, settings, first, second, is_one):
    settings.THROTTLE_TOKEN = "1/min"
    assert try_from(Api, first) == Api.wrong
    assert try_from(Api, second) == (429 if is_one else Api.wrong)


@pytest.mark.parametrize(
    ("proxies", "first", "second", "is_one"),
    [
        (0, "198.51.100.1", "198.51.100.2", True),
        (1, "198.51.100.1", "198.51.100.2", False),
        (1, "198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", True),
        (2, "198.51.100.1, 192.0.2.1, 10.0.0.1", "198.51.100.2, 192.0.2.1, 10.0.0.1", True),
        (2, "192.0.2.1, 10.0.0.1", "192.0.2.2, 10.0.0.1", False),
        (1, "192.0.2.1:4001", "192.0.2.1:4002", True),
        (1, "[2001:db8::1]:4001", "[2001:db8::2]:4002", True),
        (1, "unknown", "_hidden", True),
        (1, "", "]", True),
    ],
)
def test_the_address_is_what_our_own_proxies_say(ada, settings, proxies, first, second, is_one):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    settings.THROTTLE_TOKEN = "1/min"

    def come(forwarded):
        return Api.sign_in(
            Client(), "wrong", REMOTE_ADDR="10.0.0.9", headers={"X-Forwarded-For": forwarded}
        ).status_code

    assert come(first) == Api.wrong
    assert come(second) == (429 if is_one else Api.wrong)


def test_attempts_that_come_at_once_are_all_counted(ada, settings):
    settings.THROTTLE_ACCOUNT = "5/hour"

    def guess(number):
        try:
            return try_from(Api, ELSEWHERE.format(number))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as at_once:
        answers = list(at_once.map(guess, range(24)))
    assert sorted(answers) == [401] * 5 + [429] * 19


def test_all_processes_count_together(ada, settings):
    settings.THROTTLE_ACCOUNT = "3/hour"
    assert guess_from_everywhere(Api, 2) == [401, 401]
    other = "import django; django.setup(); from ordering import sign_in; sign_in.LOGINS.count({!r}, 'strangers')"
    environment = {**os.environ, "THROTTLE_ACCOUNT": "3/hour"}
    folder = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", other.format(ADA)], cwd=folder, env=environment, check=True)
    assert try_from(Api, HOME, PASSWORD) == 429


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/{}", "amqp://broker.example/{}"])
def test_without_redis_people_sign_in_and_register_and_each_process_brakes(ada, door, settings, url):
    settings.REDIS_URL = url.format(DOORS.index(door))  # a process has one count for each
    settings.THROTTLE_TOKEN, settings.THROTTLE_ACCOUNT = "3/min", "2/hour"
    with capture_logs() as lines:
        assert [try_from(door, HOME) for _ in range(3)] == [door.wrong] * 3
        assert try_from(door, HOME, PASSWORD) == 429
        assert try_from(door, OFFICE, PASSWORD) == door.signed_in  # strangers can't lock anybody out
        registered = {"name": "Grace", "email": "grace@example.org", "password": PASSWORD}
        assert Client().post("/api/v1/customers", registered, "application/json").status_code == 201
    assert [line["event"] for line in lines].count("brakes_not_shared") == 1


@pytest.mark.bundled
@pytest.mark.parametrize("lose", [Valkey.kill, Valkey.freeze])
def test_redis_may_go_and_come_back(ada, settings, lose, monkeypatch):
    monkeypatch.setattr(brakes, "PAUSE", 3600.0)
    settings.THROTTLE_ACCOUNT = "2/hour"
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers, capture_logs() as lines:
        settings.REDIS_URL = servers.redis_url
        assert try_from(Api, HOME, PASSWORD) == Api.signed_in
        lose(servers.valkey)
        assert try_from(Api, HOME, PASSWORD) == Api.signed_in
        assert try_from(Api, HOME) == Api.wrong
        servers.valkey.thaw() if lose is Valkey.freeze else servers.valkey.start()
        monkeypatch.setattr(brakes._counters_at(servers.redis_url), "_asked_again_at", 0.0)
        assert try_from(Api, HOME, PASSWORD) == Api.signed_in
        assert guess_from_everywhere(Api, 3) == [401, 401, 429]
    told = [line["event"] for line in lines if line["event"].startswith("brakes_")]
    assert told == ["brakes_not_shared", "brakes_shared"]


def test_a_request_that_is_none_of_the_network_is_counted_too(ada, settings):
    settings.THROTTLE_TOKEN = "1/min"
    assert try_from(Api, "") == Api.wrong
    assert try_from(Api, "") == 429


def test_what_redis_keeps_names_nobody_and_is_forgotten(ada, settings):
    try_from(Api, HOME)
    try_from(Api, HOME, PASSWORD)
    with Redis.from_url(settings.REDIS_URL) as redis:
        keys = [key.decode() for key in redis.keys("boxoffice:brakes:*")]
        lives = [redis.ttl(key) for key in keys]
    assert len(keys) >= 3
    assert not [key for key in keys if ADA in key or HOME in key]
    assert min(lives) > 0
