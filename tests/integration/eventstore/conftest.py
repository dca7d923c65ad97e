from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.eventstore.probes import Probe


@pytest.fixture
def probe_tables(clean: None) -> Iterator[None]:
    from tests.integration.eventstore.probes import tables

    with tables():
        yield


@pytest.fixture
def one(probe_tables: None) -> Iterator["Probe"]:
    """A sync probe that is fed from the beginning of the log."""
    from tests.integration.eventstore.probes import Probe, registered

    with registered(Probe()) as probe:
        yield probe
