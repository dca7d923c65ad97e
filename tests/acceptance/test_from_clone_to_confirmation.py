"""A newcomer clones Boxoffice, types `make run`, and sells a seat."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from config.bundled.valkey import free_port
from tests.integration.http_client import V1, Http
from tests.integration.processes import BASE_DIR, eventually
from tests.servers import temporary_home

pytestmark = [pytest.mark.bundled, pytest.mark.long]

ADMIN_PASSWORD = "please let me in"
NOT_CLONED = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis")


class Installation:
    """A fresh copy of the project, run by its one command with nothing of ours in the environment."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.home, self.port = folder / "clone", folder / "home", free_port()
        shutil.copytree(BASE_DIR, self.clone, ignore=NOT_CLONED)
        # What `make install` would make again, if it is this very environment.
        if any(Path(sys.prefix).glob(".installed-*")):
            (self.clone / ".venv").symlink_to(sys.prefix)
        kept = ("PATH", "HOME", "LANG", "PIP_CERT", "PIP_FIND_LINKS", "SSL_CERT_FILE")
        self._log = folder / "run.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["make", "run"],
                cwd=self.clone,
                env={
                    **{name: os.environ[name] for name in kept if name in os.environ},
                    "BOXOFFICE_HOME": str(self.home),
                    "BOXOFFICE_ADMIN_PASSWORD": ADMIN_PASSWORD,
                    "PORT": str(self.port),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        def there() -> bool:
            assert self._process.poll() is None, self.output
            return "Boxoffice is running" in self.output

        eventually(there, 300, "make run")

    def mails_to(self, address: str) -> list[str]:
        """The subjects of the mails to somebody."""
        mails = [
            message_from_bytes(file.read_bytes(), policy=policy.default) for file in (self.home / "mail").glob("*.eml")
        ]
        return sorted(mail["Subject"] for mail in mails if mail["To"] == address)

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(60)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with temporary_home() as home:
        installed = Installation(home.root)
        try:
            installed.wait()
            yield installed
        finally:
            installed.end()


def test_a_newcomer_sells_a_seat_and_staff_see_it(installation: Installation, browser: Browser) -> None:
    http = Http(installation.site)
    customer = http.register()

    conferences = http.get(f"{V1}/conferences")["results"]
    conference = next(each for each in conferences if each["seat_types"][0]["available"] > 1)
    order = {
        "customer_id": customer,
        "conference_id": conference["id"],
        "lines": [{"seat_type": conference["seat_types"][0]["code"], "quantity": 1}],
    }
    placed = json.loads(http.call("POST", f"{V1}/orders", order).content)
    assert placed["status"] == "awaiting_payment"

    paid = http.call("POST", f"{V1}/sandbox/payments/{placed['payment']['id']}", {"outcome": "accepted"})
    assert paid.status == 202
    eventually(lambda: http.get(f"{V1}/orders/{placed['id']}")["status"] == "confirmed")

    eventually(lambda: len(installation.mails_to(http.email)) >= 3)
    time.sleep(2)
    mails = installation.mails_to(http.email)
    assert len(mails) == 3
    assert sum("elcome" in subject for subject in mails) == 1
    assert sum(f"{placed['number']}: 79.00 EUR to pay" in subject for subject in mails) == 1
    assert sum(f"{placed['number']} is confirmed" in subject for subject in mails) == 1

    page = browser.new_page(base_url=installation.site)
    page.goto("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#verdict")).to_contain_text("All is well", timeout=60_000)
    page.goto(f"/admin/ordering/ordersummary/?q={placed['number']}")
    row = page.get_by_role("row").filter(has_text=placed["number"])
    expect(row).to_contain_text("confirmed", ignore_case=True)
    page.close()
