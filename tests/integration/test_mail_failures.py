"""A mail server that misbehaves: what the ledger says of it, and what becomes of the mail."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from eventstore import database, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.events import Meta
from eventstore.operations.base import perform
from eventstore.subscriptions.registry import registry
from ordering.domain.customer import CustomerRegistered
from ordering.domain.order import RequestStatusMail
from ordering.effects import mail
from ordering.effects.customer import send_welcome
from ordering.effects.order import send_status
from sagas.effects import delivery
from sagas.effects.effect import AT_MOST_ONCE, Effect, effect
from sagas.models import Delivery
from sagas.operations import SendCopy
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.eventstore.probes import registered
from tests.integration.processes import MailServer, clock, eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")

# A server may well repeat in its answer whom the mail is for.
FOR_NOW = "451 4.3.0 <ada@example.org>: Ada Lovelace may try again"
FOR_GOOD = {"RCPT": "550 5.1.1 <ada@example.org>: no Ada Lovelace here", "DATA": "554 5.7.1 <ada@example.org> is spam"}
REFUSED = {"RCPT": "The mail server refused the recipient with", "DATA": "The mail server refused the mail with"}


@effect("probe.once", on=CustomerRegistered, delivery=AT_MOST_ONCE, retries=2)
def send_once(event: CustomerRegistered, meta: Meta) -> None:
    """A mail of which two would be worse than none."""
    key = send_once.idempotency_key(meta)
    mail.send("welcome", to=event.email, message_id=key, customer_id=event.customer_id)


@pytest.fixture
def mails(settings: Any) -> Iterator[MailServer]:
    with mail_server() as (server, url):
        use(settings, url)
        yield server


def use(settings: Any, url: str, timeout: int = 10) -> None:
    """Let this process send its mails there."""
    address = urlsplit(url)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = address.hostname, address.port, timeout


def attempt(which: Effect = send_welcome) -> Delivery:
    """Carry the mail out, however long it was to wait; what its row says then. It never tells a person's data."""
    let_pass(timedelta(hours=1))
    assert delivery.deliver_one(which)
    row = Delivery.objects.get(effect=which.name)
    assert "@" not in row.error
    assert "Ada" not in row.error
    return row


def says(row: Delivery) -> tuple[str, int, str]:
    return row.status, row.attempts, row.error


def is_over(which: Effect = send_welcome) -> bool:
    let_pass(timedelta(days=1))
    return not delivery.deliver_one(which)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_mail_that_is_refused_for_now_is_sent_later(mails, command):
    shop.customer()
    mails.replies[command] = FOR_NOW
    assert says(attempt()) == ("pending", 1, f"TemporaryFailure: {REFUSED[command]} 451.")
    assert says(attempt()) == ("pending", 2, f"TemporaryFailure: {REFUSED[command]} 451.")
    mails.replies.clear()
    assert says(attempt()) == ("done", 3, "")
    assert len(mails.received) == 1
    assert is_over()


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_mail_that_is_refused_for_good_has_failed_and_is_not_tried_again(mails, command):
    shop.customer()
    mails.replies[command] = FOR_GOOD[command]
    row = attempt()
    assert says(row) == ("failed", 1, f"PermanentFailure: {REFUSED[command]} {FOR_GOOD[command][:3]}.")
    assert row.finished_at
    mails.replies.clear()
    assert is_over()
    assert not mails.received


def test_a_mail_goes_to_the_domain_that_the_address_has(mails):
    shop.customer(domain="stra\u00dfe.example")
    assert attempt().status == "done"
    assert mails.received[0]["To"].endswith("@xn--strae-oqa.example")


def test_an_address_from_before_that_no_mail_can_reach_is_tried_once(mails):
    registry.make_rows()
    old = CustomerRegistered(customer_id=new_id(), name="Ada", email="mi\u212ae@example.org")
    store.append(store.Changes(stream_id=old.customer_id, category="customer", expected=0, events=[old]))
    bring_to_rest()
    assert says(Delivery.objects.get(effect=send_welcome.name)) == (
        "failed",
        1,
        "PermanentFailure: No mail can reach the address.",
    )
    assert not mails.received


def test_a_server_that_resets_every_connection_has_certainly_taken_nothing(mails):
    shop.customer()
    mails.resets = True
    status, attempts, error = says(attempt())
    assert (status, attempts) == ("pending", 1)
    assert error.startswith("TemporaryFailure: The mail server can't be reached: ")
    mails.resets = False
    assert says(attempt()) == ("done", 2, "")
    assert len(mails.received) == 1


def test_a_server_that_nobody_listens_at_has_certainly_taken_nothing(settings):
    shop.customer()
    refused = "TemporaryFailure: The mail server can't be reached: ConnectionRefusedError."
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        use(settings, f"smtp://127.0.0.1:{port.getsockname()[1]}")
        assert says(attempt()) == ("pending", 1, refused)


def test_a_server_that_does_not_greet_has_certainly_taken_nothing(settings):
    shop.customer()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(settings, f"smtp://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
        row = attempt()
    away = "TemporaryFailure: The mail server can't be reached: SMTPServerDisconnected."
    assert says(row) == ("pending", 1, away)


def test_a_mail_that_a_server_does_not_answer_is_sent_again(mails, settings):
    shop.customer()
    mails.hold, settings.EMAIL_TIMEOUT = True, 3
    status, attempts, error = says(attempt())
    assert (status, attempts) == ("pending", 1)
    assert error.startswith("SMTPServerDisconnected in getreply, line ")
    mails.hold, settings.EMAIL_TIMEOUT = False, 10
    assert says(attempt()) == ("done", 2, "")
    assert len(mails.received) == 1


def test_a_mail_whose_server_hangs_up_before_it_answers_is_sent_again_under_the_same_id(mails):
    shop.customer()
    mails.hangs_up = True
    status, attempts, error = says(attempt())
    assert (status, attempts) == ("pending", 1)
    assert error.startswith("SMTPServerDisconnected in getreply, line ")
    mails.hangs_up = False
    assert says(attempt()) == ("done", 2, "")
    (sent,) = store.read(0, store.head(), send_welcome.types, 1)
    key = send_welcome.idempotency_key(sent)
    assert [message["Message-ID"] for message in mails.received] == [f"<{key}@boxoffice.localhost>"] * 2


def text(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body
    content: str = body.get_content()
    return content


def link(message: EmailMessage) -> str:
    return next(line for line in text(message).splitlines() if "/profile/" in line)


def test_a_mail_that_is_sent_again_has_the_same_link_and_a_copy_that_staff_want_a_new_one(mails, monkeypatch):
    shop.customer()
    mails.hangs_up = True
    assert attempt().status == "pending"
    mails.hangs_up = False
    monkeypatch.setattr(time, "time", (timezone.now() + timedelta(hours=1)).timestamp)
    assert attempt().status == "done"
    perform(SendCopy(target=send_welcome.name, delivery=Delivery.objects.get().pk), by="anna", reason="it was lost")
    Delivery.objects.filter(copy=1).update(created_at=timezone.now() + timedelta(days=1))
    assert delivery.deliver_one(send_welcome)
    first, again, copy = map(link, mails.received)
    assert first == again
    assert first != copy


def test_a_mail_that_is_sent_again_says_the_same_and_a_copy_what_has_become_of_it(mails):
    ada, conference = shop.customer(), shop.conference_on_sale()
    order = shop.order(ada, conference)
    dispatch(RequestStatusMail(order_id=order))
    mails.hangs_up = True
    assert attempt(send_status).status == "pending"
    mails.hangs_up = False
    shop.pay(order)
    assert attempt(send_status).status == "done"
    row = Delivery.objects.get(effect=send_status.name)
    perform(SendCopy(target=send_status.name, delivery=row.pk), by="anna", reason="it was lost")
    assert delivery.deliver_one(send_status)
    first, again, copy = map(text, mails.received)
    assert first == again
    assert "it is confirmed" in copy
    assert "it is confirmed" not in first


def refuse_for_now(server: MailServer, settings: Any) -> None:
    server.replies["DATA"] = FOR_NOW


def refuse_for_good(server: MailServer, settings: Any) -> None:
    server.replies["RCPT"] = FOR_GOOD["RCPT"]


def reset(server: MailServer, settings: Any) -> None:
    server.resets = True


def hang_up(server: MailServer, settings: Any) -> None:
    server.hangs_up = True


def say_nothing(server: MailServer, settings: Any) -> None:
    server.hold, settings.EMAIL_TIMEOUT = True, 3


@pytest.mark.parametrize(
    ("misbehave", "status", "is_left"),
    [
        (refuse_for_now, "pending", False),
        (reset, "pending", False),
        (refuse_for_good, "failed", True),
        (hang_up, "in doubt", True),
        (say_nothing, "in doubt", True),
    ],
)
def test_what_must_not_happen_twice_is_tried_again_only_where_it_certainly_has_not_happened(
    mails: MailServer,
    settings: Any,
    misbehave: Callable[[MailServer, Any], None],
    status: str,
    is_left: bool,
) -> None:
    with registered(send_once):
        shop.customer()
        misbehave(mails, settings)
        assert attempt(send_once).status == status
        mails.replies.clear()
        mails.hold = mails.hangs_up = mails.resets = False
        before = len(mails.received)
        assert is_over(send_once) == is_left
        assert len(mails.received) == before + (not is_left)


def test_pauses_double_with_jitter_until_the_last_attempt_has_failed(mails):
    shop.customer()
    mails.replies["RCPT"] = FOR_NOW
    jitters = []
    for number in range(1, send_welcome.retries + 1):
        let_pass(timedelta(hours=1))
        before = now()
        row = attempt()
        after = now()
        assert (row.status, row.attempts) == ("pending", number)
        pause = 2.0 ** (number - 1)
        assert seconds(row.due_at - before) >= 0.8 * pause
        assert seconds(row.due_at - after) <= 1.2 * pause
        jitters.append(seconds(row.due_at - after) / pause)
    assert len({round(jitter, 2) for jitter in jitters[-4:]}) > 1
    assert says(attempt()) == ("failed", send_welcome.retries + 1, f"TemporaryFailure: {REFUSED['RCPT']} 451.")
    assert is_over()


def test_workers_deliver_each_mail_once_when_a_server_that_refused_them_takes_them():
    with mail_server() as (server, url), worker(EMAIL_URL=url), clock():
        server.replies["RCPT"] = FOR_NOW
        for _ in range(3):
            shop.customer()
        eventually(lambda: Delivery.objects.filter(status="pending", attempts__gte=2).count() == 3)
        server.replies.clear()
        eventually(lambda: Delivery.objects.filter(status="done").count() == 3)
        assert len({message["Message-ID"] for message in server.received}) == len(server.received) == 3


def now() -> datetime:
    """By the clock of the database."""
    with database.cursor() as cursor:
        row = cursor.execute("SELECT clock_timestamp()").fetchone()
    assert row
    found: datetime = row[0]
    return found


def seconds(span: timedelta) -> float:
    return span.total_seconds()
