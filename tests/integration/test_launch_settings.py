"""What the environment makes of mail, logs and security."""

import json
import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest
from django.core.mail import EmailMessage, get_connection

BASE_DIR = Path(__file__).parents[2]


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a few lines under the settings of a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); from django.conf import settings\n{code}"],
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_without_a_mail_server_each_message_becomes_a_file(tmp_path: Path, settings) -> None:
    settings.BOXOFFICE_HOME = tmp_path
    messages = [EmailMessage(f"Seat {number}", "Yours.", to=["ada@example.org"]) for number in (1, 2)]
    assert get_connection("config.mail.FileBackend").send_messages(messages) == 2
    files = sorted((tmp_path / "mail").iterdir())
    assert [message_from_bytes(file.read_bytes())["Subject"] for file in files] == ["Seat 1", "Seat 2"]
    assert {file.suffix for file in files} == {".eml"}


def test_email_url_names_a_mail_server() -> None:
    code = "print(settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT)"
    answer = python(code, EMAIL_URL="smtp://user:secret@mail.example.org:2525")
    assert answer.stdout.split() == ["django.core.mail.backends.smtp.EmailBackend", "mail.example.org", "2525", "10"]


@pytest.mark.parametrize("logger", ["structlog.get_logger('seats')", "logging.getLogger('seats')"])
def test_machines_get_json_lines(logger: str) -> None:
    answer = python(f"import logging, structlog; {logger}.warning('sold out')", LOG_FORMAT="json")
    line = json.loads(answer.stderr)
    assert (line["event"], line["level"], line["logger"]) == ("sold out", "warning", "seats")


@pytest.mark.parametrize("page", ["profile", "waitlist"])
def test_what_opens_a_page_of_a_customer_stands_in_no_line(page: str) -> None:
    code = f"from django.test import Client; Client(SERVER_NAME='localhost').get('/{page}/a.token')"
    lines = python(code, LOG_LEVEL="DEBUG").stderr
    assert f"request='GET /{page}/…'" in lines
    assert f"Not Found: /{page}/…" in lines
    assert "token" not in lines


def test_people_get_readable_lines_without_the_values_of_variables() -> None:
    code = """
import structlog
name = " ".join(["Ada", "Lovelace"])
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("seats").exception("no seat")
"""
    answer = python(code)
    assert "no seat" in answer.stderr
    assert "ZeroDivisionError" in answer.stderr
    assert "Lovelace" not in answer.stderr


def test_one_switch_makes_a_site_https_only() -> None:
    code = "print(settings.SECURE_SSL_REDIRECT, settings.SESSION_COOKIE_SECURE, settings.SECURE_HSTS_SECONDS > 0)"
    assert python(code).stdout.split() == ["False"] * 3
    assert python(code, HTTPS="true").stdout.split() == ["True"] * 3


def test_browsers_are_told_of_one_host_and_of_others_only_where_that_is_asked_for() -> None:
    code = "print(settings.SECURE_HSTS_INCLUDE_SUBDOMAINS, settings.SECURE_HSTS_PRELOAD)"
    assert python(code, HTTPS="true").stdout.split() == ["False"] * 2
    asked = {"HSTS_INCLUDE_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}
    assert python(code, HTTPS="true", **asked).stdout.split() == ["True"] * 2
