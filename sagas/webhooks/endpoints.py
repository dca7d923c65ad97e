"""Endpoints as staff and the API make and change them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from cryptography.fernet import InvalidToken
from django.db import transaction

from eventstore import context, database, doorbell, feed
from eventstore.errors import Refused
from eventstore.events import catalogue
from eventstore.models import ClockTimestamp
from sagas import conf
from sagas.models import WebhookDelivery, WebhookEndpoint
from sagas.webhooks import addresses, delivery, secrets
from sagas.webhooks.delivery import Request
from sagas.webhooks.messages import Message
from sagas.webhooks.sending import Answer
from sagas.webhooks.subscriber import BELL, SEND_TASK, ring

TEST = "webhook.test"

MOST_TYPES = 200

Status = WebhookDelivery.Status


class EndpointOff(Refused):
    """This endpoint is switched off."""

    code = "endpoint-off"


class SecretUnreadable(Refused):
    """The secret was sealed by a key that is gone; give the endpoint another."""

    code = "secret-unreadable"


class UnderWay(Refused):
    """This is being sent at this moment."""

    code = "under-way"


def state_of(endpoint: WebhookEndpoint) -> str:
    """One word for how it is, for a badge."""
    if not endpoint.enabled:
        return "off"
    return "failing" if endpoint.failing_since else "running"


def check_url(url: str) -> None:
    """Raises `UnfitAddress`."""
    addresses.target(url)


def unknown_types(types: Sequence[str]) -> list[str]:
    """Those that no event is called."""
    return [name for name in types if name not in catalogue]


def create(endpoint: WebhookEndpoint) -> str:
    """Save a new one, which is told of events from now on; answers its secret."""
    secret = secrets.draw()
    endpoint.secret, endpoint.begins_after = secrets.seal(secret), feed.end()
    endpoint.save(force_insert=True)
    return secret


def change(endpoint: WebhookEndpoint, *, enabled: bool | None = None, **values: Any) -> None:
    """Change what is said of it; what was kept for it by then goes to where it goes now."""
    if values:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(paused_until=None, **values)
    if enabled is not None:
        (switch_on if enabled else switch_off)(endpoint)


def rotate(endpoint: WebhookEndpoint, *, shown: bool = False) -> str:
    """Give it another secret, which is answered, and needn't be `shown` again. For a while what it is sent is signed
    with the former one too.
    """
    secret = secrets.draw()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        secret=secrets.seal(secret),
        secret_unseen=not shown,
        former_secret=endpoint.secret,
        former_until=ClockTimestamp() + timedelta(hours=conf.WEBHOOK_FORMER_SECRET_HOURS.get()),
    )
    return secret


def show_secret(endpoint: WebhookEndpoint) -> str | None:
    """Its secret, if nobody has been shown it; then somebody has. Raises `SecretUnreadable`."""
    if not WebhookEndpoint.objects.filter(pk=endpoint.pk, secret_unseen=True).update(secret_unseen=False):
        return None
    endpoint.refresh_from_db()
    return secret_of(endpoint)


def secret_of(endpoint: WebhookEndpoint) -> str:
    """Its secret, for who is being answered its making. Raises `SecretUnreadable`."""
    return _unsealed(endpoint)[0]


def switch_on(endpoint: WebhookEndpoint) -> None:
    """It is told of events from now on, and before that of what was kept for it when it was switched off."""
    with transaction.atomic():
        changed = WebhookEndpoint.objects.filter(pk=endpoint.pk, enabled=False).update(
            enabled=True,
            begins_after=feed.end(),
            failures=0,
            failing_since=None,
            paused_until=None,
            switched_off_at=None,
            switched_off_for="",
            mail_due_at=None,
        )
        if changed:
            kept = WebhookDelivery.objects.filter(endpoint=endpoint, status=Status.PENDING)
            kept.update(attempts=0, tried_since=None, due_at=ClockTimestamp())
            doorbell.remind_on_commit(BELL, SEND_TASK)


def switch_off(endpoint: WebhookEndpoint) -> None:
    """Nothing is sent to it, and nothing new kept for it."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(enabled=False)


def resend(deliveries: Any) -> int:
    """Send these once more, whatever became of them; those that are still to be sent, at once. Answers how many.
    Raises `EndpointOff`, `UnderWay`.
    """
    with transaction.atomic():
        rows = deliveries.select_related("endpoint").select_for_update(of=("self",))
        found = list(rows)
        if any(not each.endpoint.enabled for each in found):
            raise EndpointOff
        if any(each.status == Status.RUNNING for each in found):
            raise UnderWay
        ended = WebhookDelivery.objects.filter(pk__in=[each.pk for each in found if each.status != Status.PENDING])
        again = {"attempts": 0, "tried_since": None, "finished_at": None, "due_at": ClockTimestamp()}
        ended.update(status=Status.PENDING, resent=True, **again)
        waiting = [each.pk for each in found if each.status == Status.PENDING]
        WebhookDelivery.objects.filter(pk__in=waiting).update(due_at=ClockTimestamp())
        WebhookEndpoint.objects.filter(pk__in={each.endpoint_id for each in found}).update(paused_until=None)
    if found:
        ring()
    return len(found)


def send_test(endpoint: WebhookEndpoint) -> Answer:
    """Send a message of the type `webhook.test` now, signed like any other, and tell what was answered. Raises
    `SecretUnreadable`.
    """
    message = Message(
        id=context.new_id(),
        type=TEST,
        position=0,
        stream_id=endpoint.pk,
        version=0,
        recorded_at=database.clock(),
        data={},
    )
    return Request(endpoint.url, msgspec.json.encode(message), _unsealed(endpoint)).send()


def _unsealed(endpoint: WebhookEndpoint) -> list[str]:
    valid = endpoint.former_until is not None and endpoint.former_until > database.clock()
    try:
        return delivery.unsealed(endpoint.secret, endpoint.former_secret if valid else None)
    except InvalidToken:
        raise SecretUnreadable from None
