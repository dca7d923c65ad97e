"""What a process logs of its own trouble says what is wrong and where, and quotes no value: that may be somebody's."""

import threading
from collections.abc import Iterator
from typing import Any, Never

import pytest
from django.db import connections
from django.utils import timezone
from structlog.testing import capture_logs

from config.startup import prepare_to_append
from eventstore.models import Incident
from eventstore.monitoring import incidents, notifications, polling
from eventstore.monitoring.health import HealthIssue, sources
from eventstore.monitoring.heartbeat import Heartbeat, SiteHeartbeat
from eventstore.subscriptions.registry import registry
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")

ADA = "ada@example.org"


class Kindless(SiteHeartbeat):
    """One that the database refuses, and whose values it quotes then."""

    def __init__(self) -> None:
        Heartbeat.__init__(self, "site@host", None, [ADA])  # type: ignore[arg-type]


def trouble(*args: object) -> Never:
    raise ValueError(f"nobody knows {ADA}")


def source() -> Iterator[HealthIssue]:
    trouble()


@pytest.fixture
def said() -> Iterator[list[Any]]:
    with capture_logs() as said:
        yield said


def error_of(said: list[Any], event: str) -> str:
    """The error in the first line of that name; nothing in any line is Ada's."""
    line = eventually(lambda: [line for line in said if line["event"] == event])[0]
    assert ADA not in str(said)
    return str(line["error"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_polling_fails(said, monkeypatch):
    done = threading.Event()

    def work() -> None:
        if done.is_set():
            raise SystemExit  # the thread ends
        trouble()

    monkeypatch.setattr(polling, "_polls", [])
    polling.register(work, every=0.01)
    polling.start()
    assert error_of(said, "polling_failed").startswith("ValueError in trouble, line ")
    done.set()
    eventually(lambda: not any(each.name == "polling" for each in threading.enumerate()))


def test_when_a_part_of_the_health_check_fails(said):
    sources.register(source)
    incidents.check_health()
    sources.unregister(source)
    assert error_of(said, "health_source_failed").startswith("ValueError in trouble, line ")


def test_when_a_notifier_fails(said, settings):
    settings.EVENTSTORE_NOTIFIERS = [f"{__name__}.trouble"]
    now = timezone.now()
    incident = Incident.objects.create(kind="parked", about="sale", text="could not", began_at=now, seen_at=now)
    notifications.enqueue([incident], ended=False)
    notifications.send_due()
    assert error_of(said, "notification_failed").startswith("ValueError in trouble, line ")


def test_when_a_heartbeat_fails(said):
    heartbeat = Kindless()
    heartbeat.start()
    assert error_of(said, "heartbeat_failed") == (
        "NotNullViolation (23502): table public.eventstore_heartbeat, column kind"
    )
    heartbeat.stop()


def test_when_the_rows_of_the_subscribers_cannot_be_made(said, monkeypatch):
    registry.forget_rows()
    connections.close_all()
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ADA)
    prepare_to_append()
    monkeypatch.undo()
    assert error_of(said, "subscribers_not_ready").startswith("OperationalError in ")
