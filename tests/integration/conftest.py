from collections.abc import Callable, Iterator

import pytest

from tests.integration.poison import Poison, poisoned


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
