"""What becomes of a crowd that wants the last seats.

Sixty-four buyers, then two hundred, order one seat each of the last fifty at the same moment, over HTTP and new
connections to the site of `make run`, and who has got one pays. Each round has a conference of its own. That exactly
fifty are sold, and that nobody is answered with an error, is not measured but promised.
"""

import argparse
import json
import os
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from http.client import HTTPConnection
from threading import Barrier
from typing import Any, NamedTuple

import django

from benchmarks import report
from benchmarks.environment import servers
from benchmarks.errors import promise
from benchmarks.report import Report, Target, say
from benchmarks.rounds import percentiles
from config.bundled.valkey import free_port
from config.run import wait_until_answered

HOST = "127.0.0.1"
SEATS = 50
CROWDS = (64, 200)
PROGRAMS = ("site", "worker", "clock")
SETTLED = ("awaiting_payment", "refused")
PATIENCE = 60.0  # seconds
AGAIN = 0.5  # seconds, until it is asked what became of an order that is under way

TARGETS = {"crowd_200_p99_ms": Target(at_most=5000, meaning="until one of 200 knows whether there is a seat, p99")}
MEANING = {
    "crowd": "from when all of so many clients begin, each a thread of one process beside the site, until one has read"
    " that an order awaits its payment or is refused; asked again where the answer is that it is under way",
    "sold": "from then until all fifty seats are paid for and sold",
}


class Settled(NamedTuple):
    """An order that has a seat or none, and after how many seconds its buyer knew."""

    order: dict[str, Any]
    seconds: float


class Buyer:
    """A customer of a storefront, which has a token for all of them."""

    def __init__(self, customer_id: str, port: int, token: str) -> None:
        self._customer_id, self._port = customer_id, port
        self._headers = {"Content-Type": "application/json", "Authorization": f"Token {token}"}

    def order(self, conference_id: str, gate: Barrier) -> Settled:
        """One seat, as soon as everybody is there."""
        lines = [{"seat_type": "standard", "quantity": 1}]
        asked = {"customer_id": self._customer_id, "conference_id": conference_id, "lines": lines}
        gate.wait()
        began = time.monotonic()
        order = self._call("POST", "/orders", asked)
        while order["status"] not in SETTLED:
            promise(time.monotonic() - began < PATIENCE, f"Order {order['id']} is still {order['status']}.")
            time.sleep(AGAIN)
            order = self._call("GET", f"/orders/{order['id']}")
        return Settled(order, time.monotonic() - began)

    def pay(self, order: dict[str, Any]) -> None:
        self._call("POST", f"/sandbox/payments/{order['payment']['id']}", {"outcome": "accepted"})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection(HOST, self._port, timeout=PATIENCE)
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, self._headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        promise(response.status < 400, f"{method} {path} is answered {response.status}: {content.decode()}")
        return json.loads(content)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each crowd (5)")


def run(options: argparse.Namespace) -> Report:
    """All rounds, the crowds by turns."""
    say("starting servers")
    with servers() as environment:
        variables, port = environment.database("crowd"), free_port()
        os.environ.update(variables)
        django.setup()
        measured = report.circumstances(variables["DATABASE_URL"], rounds=options.rounds, seats=SEATS)
        environment.keep(PROGRAMS, variables, port)
        wait_until_answered(HOST, port)
        buyers = _buyers(port)
        settled: dict[int, list[float]] = {count: [] for count in CROWDS}
        sold: dict[int, list[float]] = {count: [] for count in CROWDS}
        with ThreadPoolExecutor(max(CROWDS)) as threads:
            for number in range(options.rounds):
                for count in CROWDS:
                    say(f"round {number + 1} of {options.rounds}: {count} buyers")
                    seconds, whole = _round(threads, buyers[:count], f"{count} in round {number}")
                    settled[count] += seconds
                    sold[count].append(whole)
    return _report(settled, sold, measured | {"meaning": MEANING})


def _buyers(port: int) -> list[Buyer]:
    from django.contrib.auth.models import Group, User
    from knox.models import AuthToken

    from benchmarks.buyers import customer  # needs the models

    say(f"registering {max(CROWDS)} customers")
    storefront = User.objects.create(username="storefront")
    storefront.groups.add(Group.objects.get_or_create(name="storefront")[0])
    token = AuthToken.objects.create(storefront)[1]
    return [Buyer(str(customer()), port, token) for _ in range(max(CROWDS))]


def _round(threads: Executor, buyers: list[Buyer], name: str) -> tuple[list[float], float]:
    """After how many seconds each knew, and all was sold. Raises `BenchmarkFailed` where another number is sold."""
    from benchmarks.buyers import on_sale
    from benchmarks.site import until
    from eventstore import repository
    from ordering.domain.conference import ConferenceSeats

    conference_id, gate = on_sale(name, capacity=SEATS), Barrier(len(buyers), timeout=PATIENCE)
    began = time.monotonic()
    settled = list(threads.map(lambda buyer: buyer.order(str(conference_id), gate), buyers))
    having = [each for each in zip(buyers, settled, strict=True) if each[1].order["status"] == "awaiting_payment"]
    promise(len(having) == SEATS, f"{len(having)} of {SEATS} seats were reserved.")
    list(threads.map(lambda each: each[0].pay(each[1].order), having))
    until(
        lambda: len(repository.get(ConferenceSeats, conference_id).sold) == SEATS,
        PATIENCE,
        "all seats sold",
        pause=0.05,
    )
    return [each.seconds for each in settled], time.monotonic() - began


def _report(settled: dict[int, list[float]], sold: dict[int, list[float]], measured: dict[str, object]) -> Report:
    figures = dict[str, float]()
    made = report.table(f"The last {SEATS} seats", "", "p50 ms", "p99 ms", "all sold, s")
    for count in CROWDS:
        p50, p99 = percentiles(settled[count])
        figures |= {f"crowd_{count}_p50_ms": p50, f"crowd_{count}_p99_ms": p99, f"sold_{count}_s": max(sold[count])}
        made.add_row(f"{count} buyers", f"{p50:,.0f}", f"{p99:,.0f}", f"{max(sold[count]):.1f}")
    return Report("What becomes of a crowd", {}, figures, measured, targets=TARGETS, tables=[made])
