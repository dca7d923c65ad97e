"""Whatever customers, staff, providers and time do, and in whatever order: no seat and no money is lost or given twice.

Every run takes the same stories. For a longer search with other ones each time, where the steps to a failure are made
few:
STORIES=5000 STEPS=80 pytest tests/unit/test_business.py --timeout=0
"""

from collections.abc import Iterator

import pytest

from ordering.domain.finance import RefundStatus
from ordering.domain.order import Order, Status
from ordering.providers import registry
from tests.business.machine import Business, tell
from tests.business.model import PRICE
from tests.business.worlds import BANK, FAILS, HANGS, SETTLES, Bank, InMemory


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


@pytest.mark.parametrize(
    ("begins", "again", "ends"),
    [
        (HANGS, True, Status.CONFIRMED),
        (HANGS, False, Status.EXPIRED),
        (SETTLES, True, Status.CONFIRMED),
        (SETTLES, False, Status.EXPIRED),
        (FAILS, False, Status.CONFIRMED),
    ],
)
def test_what_staff_give_back_before_the_order_hears_of_it_is_to_be_paid_again(
    begins: str, again: bool, ends: Status
) -> None:
    story = InAnyOrder()
    story.open(capacity=3, fee=0, percent=0)
    story.place_and_wait([("standard", 1)])
    (order,) = story.orders
    story.pay(0, 0, "all", "EUR", begins, [])
    while not story.account(order).receipts:
        story.world.advance(0)
    story.refund(0, 0, half=False)
    assert not story.world.get(Order, order).received.amount
    story.come_to_rest()
    if again:
        assert story.world.get(Order, order).status is Status.PLACED
        story.pay(0, 1, "all", "EUR", SETTLES, [])
        story.come_to_rest()
    story.teardown()
    assert story.world.get(Order, order).status is ends
    refunds = story.account(order).refunds.values()
    assert [each.amount.amount for each in refunds if each.status is not RefundStatus.CLOSED] == [PRICE]
