"""Sending webhooks: take what is due with a lease, send it outside any transaction, write down what was answered.

One worker at a time takes up deliveries, and sends many at once, each in a thread of its own that knows no database: an
endpoint that answers slowly, or never, holds up nobody else. If the worker dies its leases run out, and what it was at
is sent again under the same id.
"""

import random
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from cryptography.fernet import InvalidToken
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import advisory_locks, context, database, handler_guard, identity, store
from sagas import conf
from sagas.models import WebhookAttempt
from sagas.webhooks import messages, queries, secrets, sending
from sagas.webhooks.sending import Answer
from sagas.webhooks.subscriber import ring

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Requests to one endpoint that are under way at a time; one, while it fails again and again."""

MOST = 64
"""The same of all endpoints together."""

FAILING = 5
"""Failures in a row after which an endpoint rests between two requests, ever longer up to `LONGEST_REST`."""

LONGEST_REST = 60.0
FIRST_RETRY, LONGEST_RETRY = 5.0, 4 * 3600.0
"""Seconds between two attempts, which triple from the first to the longest, with jitter."""

TAKING, QUIET, POLL = 5.0, 1.0, 0.05
"""Seconds for which a worker takes up deliveries before another may; for which it waits for more; and between looks."""


class Taken(msgspec.Struct, frozen=True):
    """A delivery that is ours for the length of its lease, with the secrets that are valid, sealed."""

    id: int
    endpoint: UUID
    position: int
    part: int
    attempts: int
    lease_until: datetime
    url: str
    secret: bytes
    former_secret: bytes | None


class Request(msgspec.Struct, frozen=True):
    """What a thread sends."""

    url: str
    body: bytes
    secrets: Sequence[str]

    def send(self) -> Answer:
        signature = secrets.signature(self.body, int(time.time()), self.secrets)
        return sending.post(self.url, self.body, {secrets.HEADER: signature})


def is_due(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether there may be something to send now."""
    with database.cursor(using) as cursor:
        return cursor.execute(queries.DUE, prepare=True).fetchone() == (True,)


def send_due(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Send until nothing has been due for a second. True if there may be more: then it is another's turn, and only what
    is under way is waited for.
    """
    handler_guard.refuse_to("send webhooks")
    under_way: dict[Future[Answer], Taken] = {}
    with ThreadPoolExecutor(MOST, "webhook") as pool:
        with advisory_locks.slot(advisory_locks.WEBHOOKS, ["sender"], using=using) as ours:
            more = ours and _send(pool, under_way, using)
        if more:
            ring()
        for answered in as_completed(under_way):
            _note(under_way[answered], answered.result(), using)
    return more


def _send(pool: ThreadPoolExecutor, under_way: dict[Future[Answer], Taken], using: str) -> bool:
    begun = quiet_since = time.monotonic()
    while time.monotonic() - begun < TAKING:
        taken = _take(MOST - len(under_way), using)
        for each, request in _requests(taken, using):
            under_way[pool.submit(request.send)] = each
        answered = wait(under_way, POLL, FIRST_COMPLETED).done if under_way else set()
        for one in answered:
            _note(under_way.pop(one), one.result(), using)
        if taken or under_way:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= QUIET:
            _execute(queries.PUT_OFF, using)
            return False
        else:
            time.sleep(POLL)
    return True


def _execute(query: str, using: str) -> None:
    with database.cursor(using) as cursor:
        cursor.execute(query)


def _take(most: int, using: str) -> list[Taken]:
    if not most or identity.is_fenced(using=using):
        return []
    asked = {
        "most": most,
        "at_once": AT_ONCE,
        "failing": FAILING,
        "owner": context.process_name(),
        "lease": conf.LEASE_SECONDS.get(),
    }
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        return [Taken(*row) for row in cursor.execute(queries.TAKE, asked).fetchall()]


def _requests(taken: Sequence[Taken], using: str) -> Iterable[tuple[Taken, Request]]:
    """What is to be sent for each; of what can't be, that is noted."""
    if not taken:
        return
    recorded = {each.position: each for each in store.read_these([each.position for each in taken], using=using)}
    for each in taken:
        body = messages.body(recorded[each.position], each.part)
        try:
            known = unsealed(each.secret, each.former_secret)
        except InvalidToken:
            _note(
                each, Answer(seconds=0.0, error="Its secret was sealed by a key that is gone: give it another."), using
            )
            continue
        if body is None:
            _note(each, Answer(seconds=0.0, error="This is read as fewer events by now."), using)
            continue
        yield each, Request(each.url, body, known)


def unsealed(secret: bytes | memoryview, former: bytes | memoryview | None) -> list[str]:
    """The secrets to sign with. Raises `cryptography.fernet.InvalidToken`."""
    return [secrets.unseal(sealed) for sealed in (secret, former) if sealed is not None]


def _note(taken: Taken, answer: Answer, using: str) -> None:
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        attempt = WebhookAttempt(
            delivery_id=taken.id, seconds=answer.seconds, code=answer.code, error=answer.error, answer=answer.body
        )
        if not _is_there(cursor, taken):
            return
        attempt.save(using=using, force_insert=True)
        if answer.accepted:
            cursor.execute(queries.NOTE_SUCCESS, [taken.id])
            cursor.execute(queries.NOTE_WORKING, [taken.endpoint])
        else:
            _note_failure(cursor, taken, answer)
        cursor.execute(queries.WAKE, [taken.id])
    log.info("webhook_sent", endpoint=str(taken.endpoint), position=taken.position, code=answer.code)


def _is_there(cursor: Any, taken: Taken) -> bool:
    """Staff may have deleted its endpoint meanwhile."""
    return cursor.execute(queries.LOCK, [taken.id]).fetchone() is not None


def _note_failure(cursor: Any, taken: Taken, answer: Answer) -> None:
    longest = timedelta(days=conf.WEBHOOK_RETRIED_DAYS.get()).total_seconds()
    wished = min(answer.retry_after or 0.0, LONGEST_RETRY)
    asked = {"endpoint": taken.endpoint, "wait": wished, "failing": FAILING, "longest": LONGEST_REST}
    (failing,) = cursor.execute(queries.NOTE_FAILING, asked).fetchone()
    ends = answer.gone or failing >= longest
    delay = max(wished, min(LONGEST_RETRY, FIRST_RETRY * 3 ** min(taken.attempts - 1, 16)) * random.uniform(0.8, 1.2))
    failure = {"id": taken.id, "lease_until": taken.lease_until, "ends": ends, "delay": delay, "longest": longest}
    cursor.execute(queries.NOTE_FAILURE, failure)
    if ends:
        days = conf.WEBHOOK_RETRIED_DAYS.get()
        why = "It answered 410 Gone." if answer.gone else f"It has failed for {days:g} days."
        cursor.execute(queries.SWITCH_OFF, [why, taken.endpoint])
        log.warning("webhook_endpoint_switched_off", endpoint=str(taken.endpoint), why=why)
