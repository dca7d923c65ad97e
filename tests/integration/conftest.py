from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.poison import Poison, poisoned
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


@pytest.fixture
def stripe(settings: Any) -> Iterator[StripeServer]:
    """Stripe is installed, and a server speaks as it does."""
    with StripeServer().running() as server:
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = SECRET_KEY, WEBHOOK_SECRET
        settings.STRIPE_API_URL = server.url
        yield server
