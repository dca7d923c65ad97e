"""Whatever customers, staff, providers and time do: stories like those of `tests/unit/test_business.py`, fewer of them,
on the database, with the real outbox, timers, ledger and read models.

STORIES=200 STEPS=40 pytest tests/integration/test_business.py --timeout=0
"""

import pytest

from ordering.providers import registry
from tests.business.machine import Business, tell
from tests.business.worlds import BANK, Bank, OnTheDatabase


class InEarnest(Business):
    make_world = OnTheDatabase


@pytest.fixture(autouse=True)
def bank():
    registry.register(Bank())
    yield
    registry.unregister(BANK)


def test_whatever_happens_no_seat_and_no_money_is_lost_or_given_twice_on_the_database(clean):
    tell(InEarnest, stories=6, steps=20)
