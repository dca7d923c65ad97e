from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.sagas.providers import Deploying


@pytest.fixture
def parcels(clean: None) -> Iterator[None]:
    """The business of parcels is there, and nothing has gone wrong in it yet."""
    from tests.integration.eventstore.probes import tables
    from tests.integration.sagas.parcels import declared

    with tables(), declared():
        yield


@pytest.fixture
def notify(parcels: None) -> Iterator["Deploying"]:
    """Deploys an effect of an event, as it is declared; answers the provider that it calls."""
    from tests.integration.sagas.providers import deploying

    with deploying() as deploy:
        yield deploy


@pytest.fixture
def probe_tables(clean: None) -> Iterator[None]:
    from tests.integration.eventstore.probes import tables

    with tables():
        yield
