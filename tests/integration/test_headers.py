"""What browsers are told about every answer, and what becomes of what was sent without encryption."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from tests.integration.api import caller as callers
from tests.integration.api.caller import PASSWORD, V1, assert_problem, nothing_written

pytestmark = pytest.mark.usefixtures("clean")

PAGE, ADMIN_PAGE, NO_PAGE = "a page", "a page of the admin", "no page"
ANSWERS = {
    "/admin/login/": ADMIN_PAGE,
    "/admin/": ADMIN_PAGE,
    "/admin/ordering/ordersummary/": ADMIN_PAGE,
    "/admin/auth/user/add/": ADMIN_PAGE,
    "/admin/nothing/": ADMIN_PAGE,
    "/nothing/": PAGE,
    "/api/v1/docs": PAGE,
    "/api/v1/docs?script=": NO_PAGE,
    "/api/v1/schema": NO_PAGE,
    "/api/v1/conferences": NO_PAGE,
    "/api/v1/orders": NO_PAGE,
    "/api/nothing": NO_PAGE,
    "/healthz": NO_PAGE,
    "/metrics": NO_PAGE,
    "/static/ordering/ticket.svg": NO_PAGE,
    "/admin/ordering/journalentry/export/": NO_PAGE,
}


@pytest.fixture
def get(client):
    client.force_login(User.objects.create_user("boss", is_staff=True, is_superuser=True))
    client.raise_request_exception = False
    return lambda path: client.get(path, follow=True)


def policy(answer):
    directives = (each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
    return {name: set(sources.split()) for name, sources in directives}


@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_says_what_it_may_do(get, path):
    answer = get(path)
    found = policy(answer)
    if ANSWERS[path] == NO_PAGE:
        assert found["default-src"] == {"'none'"}
    else:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert found["default-src"] == found["form-action"] == found["base-uri"] == {"'self'"}
        assert found["object-src"] == {"'none'"}
        assert "'unsafe-inline'" not in found.get("script-src", set())
    assert found["frame-ancestors"] == {"'none'"}
    assert (found.get("script-src") is not None) == (ANSWERS[path] == ADMIN_PAGE)
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/conferences", "/nothing/"])
def test_nothing_is_told_to_other_sites_or_opened_in_their_frames(get, path):
    headers = get(path).headers
    names = ("Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Frame-Options")
    assert [headers[name] for name in names] == ["same-origin", "same-origin", "DENY"]


def test_a_page_that_an_outage_ended_and_one_that_is_broken_say_so_too(get, monkeypatch):
    for error, status in ((OperationalError("gone"), 503), (ValueError("broken"), 500)):

        def fail(*args, raised=error, **kwargs):
            raise raised

        monkeypatch.setattr("django.contrib.admin.sites.AdminSite.each_context", fail)
        answer = get("/admin/")
        assert answer.status_code == status
        assert policy(answer)["frame-ancestors"] == {"'none'"}


@pytest.fixture
def https(settings):
    settings.SECURE_SSL_REDIRECT = True


WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("path", [f"{V1}/auth/token", f"{V1}/customers", f"{V1}/nothing"])
def test_a_call_that_was_sent_without_encryption_is_refused_and_not_redirected(client, https, method, path):
    body = b'{"email": "ada@example.org", "password": "correct horse battery"}'
    with nothing_written():
        answer = client.generic(method, path, body, "application/json")
        assert_problem(answer, 403, "https-required")
    assert "Location" not in answer.headers


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("path", ["/admin/login/", "/waitlist/x", "/nothing/"])
def test_a_form_that_was_sent_without_encryption_is_refused_on_a_page(client, https, method, path):
    answer = client.generic(method, path, b"username=boss&password=x", "application/x-www-form-urlencoded")
    assert (answer.status_code, "Location" in answer.headers) == (403, False)
    assert "Only by HTTPS" in answer.content.decode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [f"{V1}/conferences", f"{V1}/orders"])
def test_a_token_that_was_sent_without_encryption_is_refused_whatever_it_reads(client, https, method, path):
    answer = client.generic(method, path, headers={"Authorization": "Token 123"})
    assert (answer.status_code, "Location" in answer.headers) == (403, False)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/admin/login/", "/profile/x", f"{V1}/conferences", f"{V1}/docs"])
def test_what_is_only_read_is_redirected(client, https, method, path):
    answer = client.generic(method, path)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"https://testserver{path}")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer of-prometheus"}])
def test_probes_are_answered_without_encryption(client, https, path, headers):
    assert client.get(path, headers=headers).status_code == 200


def test_what_came_by_https_is_answered_as_ever(client, https):
    ada, _ = callers.customer()
    user = User.objects.get()
    user.set_password(PASSWORD)
    user.save()
    said = {"email": user.username, "password": PASSWORD}
    answer = client.post(f"{V1}/auth/token", said, "application/json", secure=True)
    assert answer.status_code == 201
    token = {"Authorization": f"Token {answer.json()['token']}"}
    assert client.get(f"{V1}/customers/{ada}", headers=token, secure=True).status_code == 200


def test_a_laptop_needs_no_https(client):
    assert client.post(f"{V1}/auth/token", {}, "application/json").status_code == 400
