"""One's tokens: which there are, when each was last used, and how they end."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken
from structlog.testing import capture_logs

from ordering import tokens
from ordering.models import TokenUse
from tests.integration.api.caller import Caller, assert_problem, caller_for, customer, nothing_written

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def ada():
    return User.objects.create_user("ada@example.org")


@pytest.fixture
def phone(ada):
    return caller_for(ada)


@pytest.fixture
def laptop(phone, ada):
    return caller_for(ada)


def listed(caller):
    answer = caller.get("/auth/tokens")
    assert answer.status_code == 200
    return answer.json()["results"]


def this_hour():
    return timezone.now().replace(minute=0, second=0, microsecond=0)


def test_one_sees_ones_tokens_and_which_is_this(phone, laptop):
    first, second = listed(laptop)
    assert (first["current"], second["current"]) == (True, False)
    assert set(first) == {"id", "created_at", "expires_at", "last_used_at", "name", "scopes", "current"}
    assert second["last_used_at"] is None
    for token in AuthToken.objects.all():
        assert token.token_key not in str(first) + str(second)


def test_when_a_token_was_last_used_is_known_to_the_hour(phone):
    before = this_hour()
    (token,) = listed(phone)
    assert before <= datetime.fromisoformat(token["last_used_at"]) <= this_hour()


def test_a_token_that_was_used_in_this_hour_costs_no_further_statement(phone, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)

    def statements():
        with CaptureQueriesContext(connection) as queries:
            phone.get("/auth/tokens")
        return [each["sql"] for each in queries if "INSERT" in each["sql"]]

    assert len(statements()) == 1
    assert statements() == []


def test_another_hour_is_noted_anew(phone, ada, monkeypatch):
    listed(phone)
    later = this_hour() + timedelta(hours=2, minutes=17)
    monkeypatch.setattr(timezone, "now", lambda: later)
    listed(phone)
    assert TokenUse.objects.get().used_at == later.replace(minute=0)


def test_processes_that_note_the_same_token_are_not_in_each_others_way(ada):
    token, _ = AuthToken.objects.create(user=ada)
    for process in (tokens.Noted(), tokens.Noted()):
        process.note(token)
    assert TokenUse.objects.get().token == token


def test_one_token_is_revoked_and_the_others_stay(phone, laptop):
    (other,) = [each for each in listed(laptop) if not each["current"]]
    assert laptop.delete(f"/auth/tokens/{other['id']}").status_code == 204
    assert_problem(phone.get("/orders"), 401, "authentication-failed")
    assert [each["current"] for each in listed(laptop)] == [True]
    assert_problem(laptop.delete(f"/auth/tokens/{other['id']}"), 404, "not-found")


def test_signing_out_everywhere_ends_all_ones_tokens_and_nobody_elses(phone, laptop):
    _, bob = customer()
    assert laptop.delete("/auth/tokens").status_code == 204
    for caller in (phone, laptop):
        assert_problem(caller.get("/orders"), 401, "authentication-failed")
    assert bob.get("/orders").status_code == 200


def test_nobody_sees_or_revokes_the_token_of_somebody_else(phone):
    _, bob = customer()
    (mine,) = listed(phone)
    assert mine["id"] not in str(listed(bob))
    assert_problem(bob.delete(f"/auth/tokens/{mine['id']}"), 404, "not-found")
    assert_problem(bob.delete(f"/auth/tokens/{uuid4()}"), 404, "not-found")
    assert len(listed(phone)) == 1


def test_an_expired_token_is_not_listed(phone, laptop):
    (old,) = [each["id"] for each in listed(laptop) if not each["current"]]
    AuthToken.objects.filter(digest__startswith=UUID(old).hex).update(expiry=datetime(2020, 1, 1, tzinfo=UTC))
    assert [each["current"] for each in listed(laptop)] == [True]


@pytest.mark.parametrize("path", ["/auth/tokens", f"/auth/tokens/{UUID(int=1)}"])
def test_without_a_token_there_is_nothing_to_revoke(path):
    assert_problem(Caller().delete(path), 401, "not-authenticated")


def test_a_dry_run_revokes_nothing(phone):
    with nothing_written():
        assert_problem(phone.delete("/auth/tokens?dry_run=true"), 400, "invalid")
    assert len(listed(phone)) == 1


def test_the_use_goes_with_its_token_whoever_deletes_that(phone):
    """As a process of the former version does, that knows of no uses."""
    listed(phone)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM knox_authtoken")
    assert not TokenUse.objects.exists()


def test_a_token_that_is_revoked_while_it_is_used_opens_nothing(ada, monkeypatch):
    caller = caller_for(ada)
    note = tokens.Noted.note

    def too_late(self, token):
        AuthToken.objects.all().delete()
        note(self, token)

    monkeypatch.setattr(tokens.Noted, "note", too_late)
    assert_problem(caller.get("/orders"), 401, "authentication-failed")


def test_staff_see_when_each_token_was_last_used(client, phone, laptop):
    listed(laptop)
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(reverse("admin:knox_authtoken_changelist")).content.decode()
    assert "last used, to the hour" in page.lower()
    assert "never" in page
    used = AuthToken.objects.exclude(use=None).get()
    answer = client.get(reverse("admin:knox_authtoken_change", args=[used.pk]))
    assert answer.status_code == 200
    assert "last used, to the hour" in answer.content.decode().lower()
    assert client.get(reverse("admin:knox_authtoken_add")).status_code == 200


def test_where_nothing_can_be_written_a_token_opens_what_can_be_read(phone):
    with connection.cursor() as cursor, capture_logs() as lines:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            assert phone.get("/conferences").status_code == 200
        finally:
            cursor.execute("RESET default_transaction_read_only")
    assert "token_use_not_noted" in [line["event"] for line in lines]
    assert not TokenUse.objects.exists()
