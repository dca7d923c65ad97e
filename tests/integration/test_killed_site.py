"""The site is killed between an append and the feeding of the read models."""

import threading
from contextlib import closing, suppress

import pytest

from config.bundled.valkey import free_port
from eventstore import store
from eventstore.models import StoredEvent, SubscriberRow
from ordering.models import CustomerProfile
from tests.integration.eventstore import raw
from tests.integration.http_client import Http
from tests.integration.processes import clock, eventually, mail_server, program, worker

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


def _register(port: int) -> None:
    with suppress(OSError, ValueError):
        Http(f"http://127.0.0.1:{port}").register()
