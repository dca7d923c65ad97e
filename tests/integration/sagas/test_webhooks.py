"""Webhooks: what another system receives, in which order, how often, and what becomes of one that doesn't answer."""

import hmac
import json
import re
import socket
import threading
import time
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import F

from eventstore import database, feed, store
from eventstore.commands import dispatch
from eventstore.models import ClockTimestamp
from eventstore.operations.base import perform
from eventstore.subscriptions import feeding
from ordering.domain.customer import ChangeCustomer
from ordering.projections.customer import CustomerProfiles
from projections.models import Generation
from projections.operations import Rebuild, Verify
from sagas.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from sagas.webhooks import delivery, endpoints, pruning, sending
from sagas.webhooks import mails as owner_mails
from sagas.webhooks.monitoring import webhook_issues
from sagas.webhooks.subscriber import webhooks
from tests.integration import shop
from tests.integration.processes import eventually, worker
from tests.integration.receiver import Receiver, Reply, signatures

pytestmark = pytest.mark.usefixtures("clean")

REGISTERED, RENAMED = "customer.registered", "customer.renamed"
PRIVATE: Any = {"WEBHOOKS_TO_PRIVATE_ADDRESSES": "true", "WEBHOOKS_TIMEOUT_SECONDS": "50"}
SLOWER = 12
"""Times that everything is put off for longer: on a busy machine sending may take some seconds."""


@pytest.fixture
def receiver(settings, monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_RETRY", delivery.FIRST_RETRY * SLOWER)
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES, settings.WEBHOOKS_TIMEOUT_SECONDS = True, 50.0
    with Receiver().running() as started:
        yield started


def endpoint(url, **more):
    """A new endpoint, and its secret."""
    made = WebhookEndpoint(url=url, owner="ops@example.org", **more)
    return made, endpoints.create(made)


def send():
    """Send what is due by now, and whatever that lets become due."""
    feeding.catch_up([webhooks])
    delivery.send_due()


def hasten():
    """What was put off is due."""
    WebhookDelivery.objects.update(due_at=ClockTimestamp())
    WebhookEndpoint.objects.update(paused_until=None)


def pauses():
    """Send, and answer for how many seconds that was put off, at least and at most."""
    begun = database.clock()
    send()
    ended, due_at = database.clock(), WebhookDelivery.objects.get().due_at
    return (due_at - ended).total_seconds(), (due_at - begun).total_seconds()


def statuses():
    return list(WebhookDelivery.objects.order_by("id").values_list("status", flat=True))


def rename(customer_id, name):
    dispatch(ChangeCustomer(customer_id=customer_id, name=name))


def verified(one, secret):
    moment, found = signatures(one)
    expected = hmac.new(secret.encode(), f"{moment}.".encode() + one.body, sha256).hexdigest()
    return any(hmac.compare_digest(each, expected) for each in found)


def test_an_event_is_told_as_the_feed_tells_it_and_signed(receiver):
    _, secret = endpoint(receiver.url)
    customer_id = shop.customer()
    begun = time.time()
    send()
    ended = time.time()
    (one,) = [each for each in receiver.received if each.message["type"] == REGISTERED]
    entry = feed.entries_of(store.read_stream(customer_id)[0])[0]
    told = json.loads(entry.content)
    assert one.message == {
        "id": told["event_id"],
        **{name: told[name] for name in ("type", "position", "stream_id", "version", "recorded_at", "data")},
    }
    assert verified(one, secret)
    assert not verified(one, secret + "x")
    assert int(begun) <= signatures(one)[0] <= ended
    assert one.headers["Content-Type"] == "application/json"
    assert set(statuses()) == {"done"}
    attempt = WebhookAttempt.objects.filter(delivery__type=REGISTERED).get()
    assert (attempt.code, attempt.error, attempt.answer) == (200, "", "ok")
    assert 0 < attempt.seconds <= ended - begun


def test_nothing_is_told_of_what_was_recorded_before_and_nothing_that_nobody_asked_for(receiver):
    shop.customer()
    endpoint(receiver.url, types=[REGISTERED])
    shop.conference_on_sale()
    customer_id = shop.customer()
    send()
    assert [each["stream_id"] for each in receiver.messages] == [str(customer_id)]


def test_while_a_secret_is_exchanged_both_are_good(receiver):
    made, first = endpoint(receiver.url, types=[REGISTERED])
    second = endpoints.rotate(made)
    shop.customer()
    send()
    WebhookEndpoint.objects.update(former_until=ClockTimestamp())
    shop.customer()
    send()
    during, after = receiver.received
    assert verified(during, first)
    assert verified(during, second)
    assert not verified(after, first)
    assert verified(after, second)


def test_a_secret_is_sealed_and_outlives_a_change_of_the_key_of_the_site(receiver, settings):
    made, secret = endpoint(receiver.url, types=[REGISTERED])
    made.refresh_from_db()
    assert secret.encode() not in bytes(made.secret)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "k" * 50, [settings.SECRET_KEY]
    shop.customer()
    send()
    assert verified(receiver.received[0], secret)
    settings.SECRET_KEY_FALLBACKS = []
    shop.customer()
    send()
    assert len(receiver.received) == 1
    assert "key that is gone" in WebhookAttempt.objects.latest("id").error


def test_of_a_stream_the_next_event_waits_and_other_streams_go_on(receiver):
    endpoint(receiver.url, types=[REGISTERED, RENAMED])
    held, other = shop.customer(), shop.customer()
    receiver.answer = lambda one: Reply(500 if one.message["stream_id"] == str(held) else 200)
    rename(held, "Grace Hopper")
    rename(other, "Alan Turing")
    send()
    told = [(each["stream_id"], each["version"]) for each in receiver.messages]
    assert sorted(told) == sorted([(str(held), 1), (str(other), 1), (str(other), 2)])
    assert told.index((str(other), 1)) < told.index((str(other), 2))
    receiver.answer = lambda _: Reply()
    hasten()
    send()
    told = [(each["stream_id"], each["version"]) for each in receiver.messages]
    assert told[3:] == [(str(held), 1), (str(held), 2)]
    first, again = (each["id"] for each in receiver.messages if (each["stream_id"], each["version"]) == (str(held), 1))
    assert first == again
    assert set(statuses()) == {"done"}


def test_what_waits_behind_one_that_was_put_off_keeps_nobody_busy_and_goes_on_with_it(receiver):
    endpoint(receiver.url, types=[REGISTERED, RENAMED])
    customer_id = shop.customer()
    receiver.answer = lambda _: Reply(500)
    for name in ("Grace Hopper", "Alan Turing"):
        rename(customer_id, name)
    send()
    assert not delivery.is_due()
    rename(customer_id, "Edsger Dijkstra")
    feeding.catch_up([webhooks])
    assert delivery.is_due()
    send()
    assert len(receiver.received) == 1
    assert not delivery.is_due()
    WebhookDelivery.objects.filter(attempts=1).update(due_at=ClockTimestamp())
    receiver.answer = lambda _: Reply()
    send()
    assert [each["version"] for each in receiver.messages] == [1, 1, 2, 3, 4]


def test_what_fails_is_tried_again_ever_later_and_at_once_when_it_may(receiver, settings):
    made, _ = endpoint(receiver.url, types=[REGISTERED])
    receiver.answer = lambda _: Reply(503)
    shop.customer()
    for number in range(4):
        least, most = pauses()
        pause = 5 * SLOWER * 3**number
        assert least < 1.25 * pause
        assert most > 0.75 * pause
        hasten()
    assert WebhookDelivery.objects.get().attempts == len(receiver.received) == 4
    assert [each.code for each in WebhookAttempt.objects.all()] == [503] * 4
    made.refresh_from_db()
    assert (made.failures, made.failing_since is None) == (4, False)
    receiver.answer = lambda _: Reply(204, body=b"")
    send()
    made.refresh_from_db()
    assert (made.failures, made.failing_since) == (0, None)
    assert statuses() == ["done"]


@pytest.mark.parametrize(("asked", "least", "most"), [("120", 120, 120), ("9999999", 14_400, 14_400), ("soon", 48, 72)])
def test_a_retry_after_is_kept_within_bounds_by_the_whole_endpoint(receiver, asked, least, most):
    endpoint(receiver.url, types=[REGISTERED])
    receiver.answer = lambda _: Reply(429, (("Retry-After", asked),))
    shop.customer()
    at_least, at_most = pauses()
    assert at_least <= most
    assert at_most >= least
    shop.customer()
    send()
    assert len(receiver.received) == (1 if asked.isdecimal() else 2)


def test_one_that_fails_again_and_again_is_asked_ever_less_often(receiver):
    endpoint(receiver.url, types=[REGISTERED])
    receiver.answer = lambda _: Reply(500)
    for _ in range(20):
        shop.customer()
    send()
    assert 5 <= len(receiver.received) < 12


def test_a_dead_endpoint_holds_up_no_other_and_few_requests_to_one_are_under_way_at_once(receiver):
    def work():
        while delivery.send_due():
            pass
        connections.close_all()

    with Receiver().running() as dead:
        dead.held.clear()
        endpoint(dead.url, types=[REGISTERED])
        endpoint(receiver.url, types=[REGISTERED])
        for _ in range(12):
            shop.customer()
        feeding.catch_up([webhooks])
        sender = threading.Thread(target=work)
        sender.start()
        eventually(lambda: len(receiver.received) == 12)
        eventually(lambda: len(dead.received) == delivery.AT_ONCE)
        dead.held.set()
        sender.join(60)
    assert len(dead.received) == 12
    assert statuses() == ["done"] * 24


@pytest.mark.parametrize(("scheme", "begin"), [("http", b""), ("https", b"\x16\x03\x03\x3f\xff")])
def test_an_answer_that_trickles_is_waited_for_no_longer(settings, scheme, begin):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES, settings.WEBHOOKS_TIMEOUT_SECONDS = True, 1.0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle():
            taken, _ = server.accept()
            with taken:
                taken.recv(65536)
                try:
                    taken.sendall(begin)
                    for _ in range(3_000):
                        taken.sendall(b"H")
                        time.sleep(0.1)
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        answer = sending.post(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        thread.join()
    assert answer.error == "No answer within 1 s."
    assert answer.seconds < 100


def test_a_long_answer_is_not_read(settings):
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    with Receiver().running() as receiver:
        receiver.answer = lambda _: Reply(body=b"x" * 10_000_000)
        answer = sending.post(receiver.url, b"{}", {})
    assert (answer.code, len(answer.body)) == (200, sending.READ)


def test_gone_switches_off_at_once_its_owner_is_told_once_and_switched_on_it_goes_on(receiver, mails):
    made, _ = endpoint(receiver.url, types=[REGISTERED])
    receiver.answer = lambda _: Reply(410)
    kept = shop.customer()
    send()
    made.refresh_from_db()
    assert (made.enabled, made.switched_off_for) == (False, "It answered 410 Gone.")
    for _ in range(2):
        owner_mails.send_due()
    (mail,) = mails
    assert mail["To"] == "ops@example.org"
    assert receiver.url in mail.get_body().get_content()
    shop.customer()
    hasten()
    send()
    assert (len(receiver.received), statuses()) == (1, ["pending"])
    receiver.answer = lambda _: Reply()
    endpoints.switch_on(made)
    later = shop.customer()
    send()
    gone, *told = (each["stream_id"] for each in receiver.messages)
    assert (gone, sorted(told)) == (str(kept), sorted(map(str, (kept, later))))
    assert statuses() == ["done", "done"]


def test_an_owner_is_told_once_the_mail_server_takes_it(receiver, settings):
    made, _ = endpoint(receiver.url, types=[REGISTERED])
    WebhookEndpoint.objects.update(enabled=False, switched_off_for="It is gone.", mail_due_at=ClockTimestamp())
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    owner_mails.send_due()
    made.refresh_from_db()
    assert made.mail_due_at is not None


def test_who_fails_for_three_days_is_switched_off_and_nothing_is_lost(receiver):
    made, _ = endpoint(receiver.url, types=[REGISTERED])
    receiver.answer = lambda _: Reply(500)
    shop.customer()
    send()
    WebhookEndpoint.objects.update(failing_since=F("failing_since") - timedelta(days=3))
    WebhookDelivery.objects.update(tried_since=F("tried_since") - timedelta(days=3))
    hasten()
    send()
    made.refresh_from_db()
    assert (made.enabled, made.switched_off_for) == (False, "It has failed for 3 days.")
    assert made.mail_due_at is not None
    assert statuses() == ["pending"]


def test_one_event_that_is_refused_for_three_days_is_given_up_and_what_waited_behind_it_is_sent(receiver):
    made, _ = endpoint(receiver.url, types=[REGISTERED, RENAMED])
    held = shop.customer()
    rename(held, "Grace Hopper")
    receiver.answer = lambda one: Reply(422 if one.message["type"] == REGISTERED else 200)
    send()
    WebhookDelivery.objects.exclude(tried_since=None).update(
        tried_since=F("tried_since") - timedelta(days=3, seconds=1)
    )
    hasten()
    send()
    assert statuses() == ["failed", "done"]
    made.refresh_from_db()
    assert made.enabled
    receiver.answer = lambda _: Reply()
    assert endpoints.resend(WebhookDelivery.objects.filter(status="failed")) == 1
    send()
    assert statuses() == ["done", "done"]
    assert receiver.messages[-1]["id"] == receiver.messages[0]["id"]


def test_what_was_delivered_can_be_sent_again_and_nothing_waits_for_that(receiver):
    endpoint(receiver.url, types=[REGISTERED, RENAMED])
    customer_id = shop.customer()
    send()
    receiver.answer = lambda one: Reply(500 if one.message["type"] == REGISTERED else 200)
    endpoints.resend(WebhookDelivery.objects.all())
    rename(customer_id, "Grace Hopper")
    send()
    assert statuses() == ["pending", "done"]


def test_redirects_are_not_followed(receiver):
    with Receiver().running() as elsewhere:
        endpoint(receiver.url, types=[REGISTERED])
        receiver.answer = lambda _: Reply(307, (("Location", elsewhere.url),))
        shop.customer()
        send()
        assert (len(receiver.received), elsewhere.received) == (1, [])
    assert WebhookAttempt.objects.get().code == 307
    assert statuses() == ["pending"]


def test_a_copy_of_the_log_sends_nothing(receiver, fence):
    endpoint(receiver.url, types=[REGISTERED])
    shop.customer()
    feeding.catch_up([webhooks])
    fence()
    delivery.send_due()
    assert receiver.received == []


def test_a_test_message_is_signed_and_told_what_came_of_it(receiver):
    made, secret = endpoint(receiver.url)
    receiver.answer = lambda _: Reply(418, body=b"no coffee")
    answer = endpoints.send_test(made)
    (one,) = receiver.received
    assert (answer.code, answer.body) == (418, "no coffee")
    assert one.message["type"] == "webhook.test"
    assert one.message.keys() == {"id", "type", "position", "stream_id", "version", "recorded_at", "data"}
    assert verified(one, secret)


def test_old_deliveries_are_forgotten_with_what_was_answered(receiver, settings):
    endpoint(receiver.url, types=[REGISTERED])
    shop.customer()
    shop.customer()
    send()
    newest = WebhookDelivery.objects.latest("id")
    WebhookDelivery.objects.exclude(pk=newest.pk).update(finished_at=F("finished_at") - timedelta(days=31))
    assert pruning.prune() == 1
    assert [each.delivery_id for each in WebhookAttempt.objects.all()] == [newest.pk]


def test_a_killed_worker_loses_nothing_and_what_it_was_at_is_sent_again_under_its_id(receiver):
    endpoint(receiver.url, types=[REGISTERED])
    receiver.held.clear()
    with worker(beats=True, **PRIVATE) as first:
        customers = [str(shop.customer()) for _ in range(3)]
        eventually(lambda: len(receiver.received) == 3)
        first.kill()
    WebhookDelivery.objects.update(lease_until=ClockTimestamp())
    receiver.held.set()
    with worker(beats=True, **PRIVATE):
        eventually(lambda: statuses() == ["done"] * 3)
    ids = [each["id"] for each in receiver.messages]
    assert sorted(each["stream_id"] for each in receiver.messages) == sorted(customers * 2)
    assert len(ids) == 6
    assert len(set(ids)) == 3


def test_nothing_is_sent_because_something_is_rebuilt(receiver):
    endpoint(receiver.url, types=[REGISTERED])
    with worker(beats=True, **PRIVATE):
        for _ in range(3):
            shop.customer()
        eventually(lambda: statuses() == ["done"] * 3)
        for operation, ends in ((Rebuild, "live"), (Verify, "verified")):
            perform(operation(target=CustomerProfiles.name), by="test")
            eventually(lambda: Generation.objects.filter(status=ends).exists())  # noqa: B023 - asked at once
        shop.customer()
        eventually(lambda: statuses() == ["done"] * 4)
    assert len(receiver.received) == len({each["id"] for each in receiver.messages}) == 4


def test_its_checkpoint_can_not_be_moved_back():
    assert not webhooks.idempotent


def test_staff_are_told_of_an_endpoint_that_fails_and_of_one_that_was_switched_off(receiver):
    made, _ = endpoint(receiver.url, types=[REGISTERED])
    assert list(webhook_issues()) == []
    WebhookEndpoint.objects.update(failures=5, failing_since=ClockTimestamp())
    (failing,) = webhook_issues()
    assert (failing.kind, failing.text.startswith("has failed 5 times in a row")) == ("webhook failing", True)
    receiver.answer = lambda _: Reply(410)
    shop.customer()
    send()
    (off,) = webhook_issues()
    assert (off.kind, off.text) == ("webhook off", "was switched off. It answered 410 Gone")
    assert off.about == f"webhooks to 127.0.0.1 ({str(made.pk)[-12:]})"
    endpoints.switch_on(made)
    assert list(webhook_issues()) == []


def test_a_receiver_verifies_as_the_documentation_says(receiver):
    page = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    told: dict[str, Any] = {}
    exec(code, told)  # noqa: S102 - of our own documentation
    made, first = endpoint(receiver.url, types=[REGISTERED])
    second = endpoints.rotate(made)
    shop.customer()
    send()
    (one,) = receiver.received
    header = one.headers["Boxoffice-Signature"]
    assert told["is_genuine"](first, header, one.body)
    assert told["is_genuine"](second, header, one.body)
    assert not told["is_genuine"](second, header, one.body + b" ")
    assert not told["is_genuine"]("whsec_other", header, one.body)
    late = header.replace(f"t={signatures(one)[0]}", f"t={signatures(one)[0] - 600}")
    assert not told["is_genuine"](first, late, one.body)
