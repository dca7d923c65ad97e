"""What `check` says of the environment of a site, and `check --deploy` of one that is in production."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.urls import path

from ordering.api.views import View
from ordering.checks import brakes, configured, keys, proxies, real_mails, real_money, scopes, token_life

MEANINGLESS = [
    ("BASE_URL", "https://tickets.example/"),
    ("BASE_URL", "https://tickets.example/shop"),
    ("BASE_URL", "tickets.example"),
    ("BASE_URL", "ftp://tickets.example"),
    ("DEFAULT_FROM_EMAIL", "Kino, Bar & Club <tickets@example.org>"),
    ("DEFAULT_FROM_EMAIL", "Kino"),
    ("DEFAULT_FROM_EMAIL", ""),
    ("SERVER_EMAIL", "a@example.org, b@example.org"),
    ("MAIL_DOMAIN", "tickets example"),
    ("MAIL_DOMAIN", ""),
    ("PROFILE_LINK_DAYS", -1),
    ("SITE_THREADS", 0),
    ("SITE_QUEUE", -1),
    ("SITE_LOCK_TIMEOUT_SECONDS", 0),
    ("SITE_STATEMENT_TIMEOUT_SECONDS", -1.5),
    ("MIN_POSITION_SECONDS", 0),
    ("PROXIES", -1),
    ("EMAIL_TIMEOUT", 0),
]
MEANT = [
    ("BASE_URL", "https://tickets.example"),
    ("BASE_URL", "http://localhost:8000"),
    ("BASE_URL", "http://[::1]:8000"),
    ("DEFAULT_FROM_EMAIL", "tickets@example.org"),
    ("DEFAULT_FROM_EMAIL", '"Kino, Bar & Club" <tickets@example.org>'),
    ("DEFAULT_FROM_EMAIL", "Boxoffice <boxoffice@localhost>"),
    ("MAIL_DOMAIN", "boxoffice.localhost"),
    ("PROFILE_LINK_DAYS", 0),
    ("SITE_THREADS", 1),
    ("SITE_QUEUE", 0),
    ("SITE_LOCK_TIMEOUT_SECONDS", 0.5),
]


@pytest.mark.parametrize(("name", "value"), MEANINGLESS)
def test_a_setting_that_would_only_fail_when_used_is_named(name: str, value: Any) -> None:
    with override_settings(**{name: value}):
        (error,) = configured()
    assert error.id == "ordering.E002"
    assert error.msg.startswith(f"{name} has to be ")


@pytest.mark.parametrize(("name", "value"), MEANT)
def test_one_that_means_something_is_not(name: str, value: Any) -> None:
    with override_settings(**{name: value}):
        assert configured() == []


@pytest.mark.parametrize("rate", ["", "60", "0/min", "-1/min", "60/ min", "5/fortnight", "many/min", "1.5/s"])
def test_a_rate_that_no_brake_can_keep_is_named(rate: str) -> None:
    with override_settings(THROTTLE_TOKEN=rate):
        (error,) = brakes()
    assert error.id == "ordering.E013"
    assert "THROTTLE_TOKEN" in error.msg


@pytest.mark.parametrize("rate", ["60/min", "1/s", "100/hour", "7/day"])
def test_a_rate_that_one_can_is_not(rate: str) -> None:
    with override_settings(THROTTLE_TOKEN=rate):
        assert brakes() == []


def test_behind_a_proxy_it_is_known_how_many_there_are() -> None:
    assert proxies() == []
    with override_settings(BEHIND_PROXY=True, PROXIES=1):
        assert proxies() == []
    with override_settings(BEHIND_PROXY=True, PROXIES=0):
        (warning,) = proxies()
    assert warning.id == "ordering.W019"


def test_a_token_that_is_never_good_is_named() -> None:
    assert token_life() == []
    with override_settings(REST_KNOX={"TOKEN_TTL": timedelta()}):
        (error,) = token_life()
    assert "TOKEN_HOURS" in error.msg


def test_in_production_keys_are_set() -> None:
    with override_settings(UNSET_KEYS=[]):
        assert keys() == []
    with override_settings(UNSET_KEYS=["SECRET_KEY", "CLAIM_KEY"]):
        secret, claims = keys()
    assert (secret.id, claims.id) == ("ordering.E014", "ordering.W015")


def test_in_production_nobody_plays_the_payment_provider() -> None:
    with override_settings(PAYMENT_PROVIDER="sandbox"):
        (error,) = real_money()
    assert error.id == "ordering.E016"


def test_in_production_the_provider_of_the_site_is_installed() -> None:
    with override_settings(PAYMENT_PROVIDER="strip"):
        (warning,) = real_money()
    assert warning.id == "ordering.W017"


def test_in_production_mails_are_sent() -> None:
    with override_settings(EMAIL_BACKEND="config.mail.FileBackend"):
        (error,) = real_mails()
    assert error.id == "ordering.E018"
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend"):
        assert real_mails() == []


class About(View):
    scope = "orders"


class AboutNothing(View):
    scope = None


class Unsaid(View):
    pass


class Unknown(View):
    scope = "weather"


@pytest.mark.parametrize("view", [Unsaid, Unknown])
def test_a_view_of_which_no_token_could_be_asked_is_named(view: type[View]) -> None:
    patterns = (path("fine", About.as_view()), path("none", AboutNothing.as_view()), path("wrong", view.as_view()))
    with override_settings(ROOT_URLCONF=patterns):
        (error,) = scopes()
    assert error.id == "ordering.E020"
    assert error.msg.startswith(view.__name__)


def test_all_views_of_the_api_say_what_they_are_about() -> None:
    assert scopes() == []
