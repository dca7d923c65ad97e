"""A backup is restored beside the installation that it was taken of, and all its workers run: nothing is sent, until
somebody says that this one is to act now.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.utils import timezone

from eventstore import identity, store
from eventstore.commands import dispatch
from eventstore.models import CommandRecord, Doorbell, Incident, Notification, StoredEvent, SubscriberRow
from eventstore.monitoring.status import log_status
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.testing import only_handlers
from ordering.domain.order import RequestStatusMail
from ordering.models import CustomerProfile, OrderSummary
from projections.models import Generation
from sagas.effects.effect import Effect
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.copying import COPY, copied_database
from tests.integration.processes import clock, eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")

STAFF, ABOUT, LAZY = "staff@example.com", "a matter of yesterday", "customer-profiles"


@pytest.fixture
def expected(settings):
    """In the first database there is something that is due of all that can be sent, fired or told; answers the
    Message-IDs of the mails.
    """
    settings.EVENTSTORE_MODES = {LAZY: "async"}
    conference = shop.conference_on_sale()
    order, ada = shop.order(shop.customer(), conference), shop.customer()
    dispatch(RequestStatusMail(order_id=order))
    Timer.objects.update(due_at=timezone.now())
    with only_handlers("order-summaries"):
        shop.order(ada, conference)
    feeding.catch_up([registry["sale"]])
    with only_handlers("mail.welcome"):
        bring_to_rest()
    seen = dict.fromkeys(["began_at", "seen_at", "raised_at"], timezone.now())
    incident = Incident.objects.create(kind="parked", about=ABOUT, text="is odd", **seen)
    Notification.objects.create(
        incident=incident, notifier="eventstore.monitoring.notifications.mail_admins", ended=False
    )
    assert waiting() == WAITING
    return {_message_id(delivery) for delivery in Delivery.objects.all()}


def _message_id(delivery, using="default"):
    effect = registry[delivery.effect]
    assert isinstance(effect, Effect)
    return f"<{effect.idempotency_key(store.read_one(delivery.position, using=using))}@{settings.MAIL_DOMAIN}>"


FOLLOWING = {"mail.payment-requested", "mail.order-expired"}
"""What the copy sends besides: the order that waits for its seats gets them, and the other one expires."""


WAITING = {
    "commands": [("seats.reserve", "pending", 0)],
    "timers": ["waiting", "waiting"],
    "attempts at mails": [0, 0, 0, 0],
    "notices": [(0, None)],
    "carried out": 8,
    "events": 9,
}


def waiting(using="default"):
    """What is left to be done in a database, and what was done."""
    return {
        "commands": [
            *OutboxCommand.objects.using(using).exclude(status="done").values_list("type", "status", "attempts")
        ],
        "timers": [*Timer.objects.using(using).values_list("status", flat=True)],
        "attempts at mails": [*Delivery.objects.using(using).values_list("attempts", flat=True)],
        "notices": [
            *Notification.objects.using(using).filter(incident__about=ABOUT).values_list("attempts", "sent_at")
        ],
        "carried out": CommandRecord.objects.using(using).count(),
        "events": StoredEvent.objects.using(using).count(),
    }


def manage(copy, *arguments):
    command = [sys.executable, "manage.py", *arguments, "--by=anna", "--yes"]
    done = subprocess.run(command, env=os.environ | copy, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def several_ticks(copy_has_ticked):
    """Whether the clock has rung so often for a mail that is due."""
    rung_at = Doorbell.objects.using(COPY).filter(name="effect mail.order-status").values_list("rung_at", flat=True)
    copy_has_ticked |= {moment for moment in rung_at if moment}
    return len(copy_has_ticked) >= 3


def test_a_copy_sends_nothing_until_it_is_confirmed_and_then_everything_once(expected):
    with copied_database() as database, mail_server() as (server, url):
        copy = {
            **database,
            "REDIS_URL": another_broker(),
            "SUBSCRIBER_MODES": f"{LAZY}=async",
            "EMAIL_URL": url,
            "ADMINS": STAFF,
            "RAISE_AFTER_SECONDS": "1",
            "RESOLVE_AFTER_SECONDS": "600",
        }
        with worker(**copy), clock(**copy):
            ticks: set[datetime] = set()
            eventually(lambda: several_ticks(ticks), 60)
            eventually(read_models_have_gone_on, 60)
            eventually(Incident.objects.using(COPY).filter(kind="fenced").exclude(raised_at=None).exists, 60)
            log = log_status(using=COPY)
            assert log.fenced
            assert [trouble.kind for trouble in log.health_issues()] == ["fenced"]
            manage(copy, "projections", "rebuild", "order-summaries", "--wait")
            assert Generation.objects.using(COPY).filter(purpose="rebuild", status="live").exists()
            assert waiting(COPY) == WAITING
            assert not server.received

            told = manage(copy, "log", "confirm", "--reason=the other one is gone")
            assert "acts from here" in told
            eventually(lambda: statuses() == {"awaiting_payment", "expired"}, 60)
            eventually(lambda: delivered() == len(expected) + len(FOLLOWING), 60)
            eventually(lambda: to_staff(server), 60)
            time.sleep(2.5)  # for the clock to look at everything twice
            sent = {_message_id(delivery, COPY) for delivery in Delivery.objects.using(COPY)}
        assert Counter(mail["Message-ID"] for mail in server.received if mail["To"] != STAFF) == Counter(sent)
        assert expected <= sent
        assert {*Delivery.objects.using(COPY).values_list("effect", flat=True)} >= FOLLOWING
        assert len(to_staff(server)) == 1
        assert not log_status(using=COPY).fenced
        assert Counter(Timer.objects.using(COPY).values_list("status", flat=True)) == {"fired": 1, "waiting": 1}
    # The one that it was taken of has heard nothing of all this.
    assert waiting() == WAITING
    assert not identity.identity().is_fenced


def delivered():
    return Delivery.objects.using(COPY).filter(status="done").count()


def read_models_have_gone_on():
    behind = SubscriberRow.objects.using(COPY).filter(rank=1, checkpoint__lt=WAITING["events"])
    return not behind.exists() and CustomerProfile.objects.using(COPY).count() == 2


def statuses():
    return set(OrderSummary.objects.using(COPY).values_list("status", flat=True))


def to_staff(server):
    return [mail for mail in server.received if mail["To"] == STAFF and ABOUT in mail["Subject"]]


def another_broker():
    """Another database of the broker than the one of the first installation."""
    url = urlsplit(settings.REDIS_URL)
    return urlunsplit(url._replace(path=f"/{(int(url.path.removeprefix('/')) + 8) % 16}"))
