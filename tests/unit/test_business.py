"""Whatever customers, staff, providers and time do, and in whatever order: no seat and no money is lost or given twice.

Every run takes the same stories. For a longer search with other ones each time, where the steps to a failure are made
few:
STORIES=5000 STEPS=80 pytest tests/unit/test_business.py --timeout=0
"""

from collections.abc import Iterator

import pytest

from ordering.providers import registry
from tests.business.machine import Business, tell
from tests.business.worlds import BANK, Bank, InMemory


class InAnyOrder(Business):
    """What follows from an event happens whenever it comes about."""

    make_world = InMemory


@pytest.fixture(autouse=True)
def bank() -> Iterator[None]:
    registry.register(Bank())
    yield
    registry.unregister(BANK)


def test_whatever_happens_no_seat_and_no_money_is_lost_or_given_twice() -> None:
    tell(InAnyOrder, stories=200, steps=60)
