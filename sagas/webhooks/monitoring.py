"""Endpoints that don't answer, or were switched off by themselves."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from eventstore import database, identity
from eventstore.monitoring.health import HealthIssue, duration
from sagas.models import WebhookEndpoint
from sagas.webhooks.delivery import FAILING

ADVICE = {
    "webhook off": "Find out with its owner why it failed. Once it works, switch it on under Webhook endpoints: what "
    "was kept for it is sent.",
    "webhook failing": "Look under Webhook deliveries what it answers, and tell its owner.",
}
"""What staff are advised to do about these, by kind."""


def webhook_issues() -> Iterator[HealthIssue]:
    """Of a copy of the log nothing can be told, for it sends nothing."""
    if identity.is_fenced():
        return
    now = database.clock()
    for endpoint in WebhookEndpoint.objects.filter(enabled=False).exclude(switched_off_at=None):
        yield HealthIssue(_named(endpoint), f"was switched off. {endpoint.switched_off_for[:-1]}", kind="webhook off")
    for endpoint in WebhookEndpoint.objects.filter(enabled=True, failures__gte=FAILING).exclude(failing_since=None):
        since = duration((now - endpoint.failing_since).total_seconds()) if endpoint.failing_since else ""
        text = f"has failed {endpoint.failures:,} times in a row, for {since}"
        yield HealthIssue(_named(endpoint), text, kind="webhook failing")


def _named(endpoint: WebhookEndpoint) -> str:
    """Without the path of its URL, which may be a secret."""
    return f"webhooks to {urlsplit(endpoint.url).hostname} ({str(endpoint.pk)[-12:]})"
