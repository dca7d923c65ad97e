"""How endpoints are, and which of them don't answer or were switched off by themselves."""

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q
from django.utils import timezone

from eventstore import database, identity
from eventstore.monitoring.health import MOST_COUNTED, HealthIssue, duration
from sagas.models import WebhookEndpoint
from sagas.webhooks import queries
from sagas.webhooks.delivery import FAILING

ADVICE = {
    "webhook off": "Find out with its owner why it failed. Once it works, switch it on under Webhook endpoints: what "
    "was kept for it is sent.",
    "webhook failing": "Look under Webhook deliveries what it answers, and tell its owner.",
}
"""What staff are advised to do about these, by kind."""


State = Literal["running", "failing", "off", "switched off"]


class EndpointStatus(msgspec.Struct, frozen=True):
    """How an endpoint is: `off` where staff have switched it off, `switched off` where its failures have. `waiting` is
    how many deliveries are still to be sent, counted up to `MOST_COUNTED`, and `oldest` for how many seconds the first
    of them has been.
    """

    id: UUID
    state: State
    waiting: int
    oldest: float


def endpoint_statuses(*, using: str = DEFAULT_DB_ALIAS) -> list[EndpointStatus]:
    """In the order in which they were made."""
    with database.cursor(using) as cursor:
        rows = cursor.execute(queries.STANDING, [MOST_COUNTED]).fetchall()
    return [
        EndpointStatus(endpoint, _state(enabled, given_up, failing), waiting, oldest)
        for endpoint, enabled, given_up, failing, waiting, oldest in rows
    ]


def _state(enabled: bool, given_up: bool, failing: bool) -> State:
    if not enabled:
        return "switched off" if given_up else "off"
    return "failing" if failing else "running"


def webhook_issues() -> Iterator[HealthIssue]:
    """Of a copy of the log nothing can be told, for it sends nothing."""
    if identity.is_fenced():
        return
    off = Q(enabled=False, switched_off_at__isnull=False)
    failing = Q(enabled=True, failures__gte=FAILING, failing_since__isnull=False)
    for endpoint in WebhookEndpoint.objects.filter(off | failing).order_by("enabled", "created_at", "id"):
        if not endpoint.enabled:
            text = f"was switched off. {endpoint.switched_off_for[:-1]}"
            yield HealthIssue(_named(endpoint), text, kind="webhook off", since=endpoint.switched_off_at)
        elif since := endpoint.failing_since:
            lasts = duration(max(0.0, (timezone.now() - since).total_seconds()))
            text = f"has failed {endpoint.failures:,} times in a row, for {lasts}"
            yield HealthIssue(_named(endpoint), text, kind="webhook failing", since=since)


def _named(endpoint: WebhookEndpoint) -> str:
    """Without the path of its URL, which may be a secret."""
    return f"webhooks to {urlsplit(endpoint.url).hostname} ({str(endpoint.pk)[-12:]})"
