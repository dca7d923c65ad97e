from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.poison import Poison, poisoned
from tests.integration.processes import MailServer, mail_server
from tests.integration.stripe_server import SECRET_KEY, WEBHOOK_SECRET, StripeServer


@pytest.fixture
def fence(clean: None) -> Iterator[Callable[[], None]]:
    """Makes the log one that was copied from another database; where it is known to be is put back afterwards."""
    from django.db import connections

    from eventstore.models import LogIdentity

    kept = LogIdentity.objects.values("database", "epoch", "confirmed_by", "confirmed_at").get()

    def copy() -> None:
        LogIdentity.objects.update(database="elsewhere")
        connections.close_all()

    yield copy
    LogIdentity.objects.update(**kept)
    connections.close_all()


@pytest.fixture
def poison(clean: None) -> Iterator[Poison]:
    with poisoned() as poison:
        yield poison


@pytest.fixture(scope="module")
def post() -> Iterator[tuple[MailServer, str]]:
    """A mail server, and its address."""
    with mail_server() as started:
        yield started


@pytest.fixture
def mails(post: tuple[MailServer, str], settings: Any) -> list[EmailMessage]:
    """What arrives of all that this process sends."""
    received, address = post[0].received, urlsplit(post[1])
    received.clear()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = address.hostname, address.port
    return received


@pytest.fixture
def stripe(settings: Any) -> Iterator[StripeServer]:
    """Stripe is installed, and a server speaks as it does."""
    with StripeServer().running() as server:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = SECRET_KEY, WEBHOOK_SECRET
        settings.STRIPE_API_URL = server.url
        yield server
