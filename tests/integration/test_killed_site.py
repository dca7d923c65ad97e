"""The site is killed between an append and the feeding of the read models; or only a worker of it is."""

import os
import re
import shlex
import signal
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from config import bundled, run
from config.bundled import guardian
from config.bundled.valkey import free_port
from eventstore import store
from eventstore.models import StoredEvent, SubscriberRow
from ordering.models import CustomerProfile
from tests.integration.eventstore import raw
from tests.integration.http_client import Http
from tests.integration.processes import BASE_DIR, Program, clock, eventually, mail_server, program, worker

pytestmark = pytest.mark.usefixtures("clean")


def test_what_was_appended_is_read_and_acted_upon_though_the_site_is_killed_before_feeding():
    port = free_port()
    server = ("-m", "granian", "--interface=asginl", "--host=127.0.0.1", f"--port={port}", "config.asgi:application")
    with closing(raw.connect()) as feeder, program(*server, ready="Started worker") as site:
        eventually(lambda: Http(f"http://127.0.0.1:{port}").call("GET", "/healthz").status == 200)
        # Somebody else is feeding, so the request can append and then only wait.
        feeder.execute("SELECT * FROM eventstore_subscriber FOR NO KEY UPDATE")
        asking = threading.Thread(target=_register, args=(port,))
        asking.start()
        eventually(StoredEvent.objects.exists)
        site.kill()
        feeder.rollback()
        asking.join(30)
    assert not CustomerProfile.objects.exists()
    assert SubscriberRow.objects.get(pk="customer-profiles").checkpoint == 0

    with mail_server() as (mails, url), worker(EMAIL_URL=url), clock():
        eventually(CustomerProfile.objects.exists)
        eventually(StoredEvent.objects.filter(type="mail.sent").exists)
        eventually(lambda: not SubscriberRow.objects.filter(checkpoint__lt=store.head()).exists())
    assert [event.type for event in StoredEvent.objects.all()] == ["customer.registered", "mail.sent"]
    assert len(mails.received) == 1


def test_the_documented_site_goes_on_answering_while_a_killed_worker_is_replaced():
    table = (BASE_DIR / "docs" / "operating.md").read_text()
    documented = re.search(r"^\| the site \| `(.*?)`", table, re.MULTILINE)
    assert documented
    _, *options, application = shlex.split(documented[1])
    port = free_port()
    with program("-m", "granian", *options, f"--port={port}", application, ready="Started worker-2") as site:
        site.wait_for("Started worker-1")
        killed = _kill_a_worker(site)

        def replaced() -> bool:
            assert Http(f"http://127.0.0.1:{port}").call("GET", "/healthz").status == 200
            return site.output.count("Started worker") == 3

        eventually(replaced)
        assert len(_workers(site) - {killed}) == 2


def test_the_site_of_make_run_replaces_its_worker_by_itself(tmp_path: Path):
    port = free_port()
    _, *arguments = run.programs(bundled.Home(tmp_path), "127.0.0.1", port)[0].command
    with program(*arguments, ready="Started worker-1") as site:
        killed = _kill_a_worker(site)
        eventually(lambda: site.output.count("Started worker-1") == 2)
        assert killed not in _workers(site)
        assert Http(f"http://127.0.0.1:{port}").call("GET", "/healthz").status == 200


def _workers(site: Program) -> set[int]:
    """Those that it has announced and that run."""
    spawned = {int(number) for number in re.findall(r"Spawning worker-\d with PID: (\d+)", site.output)}
    return {number for number in spawned if guardian.is_running(number)}


def _kill_a_worker(site: Program) -> int:
    killed = min(_workers(site))
    os.kill(killed, signal.SIGKILL)
    site.wait_for("Unexpected exit from worker")  # nothing of it is left: whoever was connected to it was cut off
    return killed


def _register(port: int) -> None:
    with suppress(OSError, ValueError):
        Http(f"http://127.0.0.1:{port}").register()
