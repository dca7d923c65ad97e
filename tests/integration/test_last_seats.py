"""A crowd wants the last fifty seats at the same moment, and pays as soon as it has them.

ROUNDS is how often (1); `make test-long` does it twenty times.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest

from eventstore import repository
from ordering.domain.conference import ConferenceSeats
from ordering.models import OrderSummary
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.http_client import V1, Http
from tests.integration.processes import eventually, server, worker

CROWDS, SEATS = (64, 200), 50
ROUNDS = int(os.environ.get("ROUNDS", "1"))
SETTLED = ("awaiting_payment", "refused")

pytestmark = [
    pytest.mark.long,
    pytest.mark.bundled,
    pytest.mark.timeout(300 + 60 * ROUNDS),
    pytest.mark.usefixtures("clean"),
]


@pytest.fixture
def site() -> Iterator[str]:
    """With a worker and the clock, which finish what a request leaves."""
    with worker(beats=True), server() as address:
        yield address


class Buyer:
    """Orders a seat, and pays for it; keeps all that was answered."""

    def __init__(self, site: str, token: dict[str, str]) -> None:
        self.http = Http(site)
        self.http.headers |= token
        self.customer = str(shop.customer())
        self.answered: Counter[int] = Counter()

    def buy(self, conference: str, gate: Barrier) -> str:
        """Answers the id of the order."""
        lines = [{"seat_type": "standard", "quantity": 1}]
        order = str(uuid4())
        gate.wait()
        self.call(
            "POST", "/orders", {"id": order, "customer_id": self.customer, "conference_id": conference, "lines": lines}
        )
        shown = eventually(lambda: self.settled(order), 120, "the order has its seat, or is refused", pause=0.5)
        if shown["status"] == "awaiting_payment":
            self.call("POST", f"/sandbox/payments/{shown['payment']['id']}", {"outcome": "accepted"})
        return order

    def settled(self, order: str) -> dict[str, object] | None:
        shown = self.call("GET", f"/orders/{order}")
        return shown if shown["status"] in SETTLED else None

    def call(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        response = self.http.call(method, f"{V1}{path}", body)
        self.answered[response.status] += 1
        return json.loads(response.content)


@pytest.mark.parametrize("clients", CROWDS)
def test_exactly_the_last_seats_are_sold_and_nobody_meets_an_error(site, clients):
    token = callers.storefront().headers
    buyers = [Buyer(site, token) for _ in range(clients)]
    gate = Barrier(clients, timeout=60)
    with ThreadPoolExecutor(clients) as threads:
        for _ in range(ROUNDS):
            one_round(threads, buyers, gate)
    answered = sum((buyer.answered for buyer in buyers), Counter[int]())
    assert not {status for status in answered if status >= 400}


def one_round(threads: Executor, buyers: list[Buyer], gate: Barrier) -> None:
    conference = shop.conference_on_sale(capacity=SEATS)
    orders = [*threads.map(lambda buyer: buyer.buy(str(conference), gate), buyers)]
    ours = OrderSummary.objects.filter(pk__in=orders)
    eventually(lambda: ours.filter(status="confirmed").count() == SEATS, 60, "all seats are paid", pause=0.2)
    assert Counter(ours.values_list("status", flat=True)) == {"confirmed": SEATS, "refused": len(buyers) - SEATS}
    eventually(lambda: len(repository.get(ConferenceSeats, conference).sold) == SEATS, 60, "all seats are sold")
    assert not repository.get(ConferenceSeats, conference).reserved
