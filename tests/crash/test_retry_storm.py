"""Clients that send every write three times at once, leave in the middle and try again, while their site is killed and
started: each key has one effect and one answer.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread

import pytest

from config.bundled.valkey import free_port
from config.run import MANY
from eventstore import store
from ordering.domain.customer import CustomerRegistered, CustomerRenamed
from ordering.domain.order import OrderCancelled, OrderPlaced
from ordering.models import CustomerAccount, KeyedCall
from tests.integration import shop
from tests.integration.http_client import PASSWORD, V1
from tests.integration.processes import eventually

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.long]

CLIENTS, DEATHS, BETWEEN = 6, 4, 3.0
"""So many seconds between two deaths; a start takes some of them."""

AGAIN = {408, 429, 500, 503}
"""What says nothing of what was asked."""


class Site:
    """The real server, again and again at the same address."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "granian", "--interface=asginl", *MANY, f"--port={self.port}"]
        self.process = subprocess.Popen(
            [*command, "config.asgi:application"],
            env={**os.environ, "THROTTLE_REGISTER": "9999/min", "THROTTLE_TOKEN": "9999/min"},
            start_new_session=True,
        )
        eventually(self.answers, 60, "a site that answers")

    def answers(self) -> bool:
        with suppress(OSError, HTTPException):
            connection = HTTPConnection(self.address, timeout=5)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        return False

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def dying(site: Site):
    """Until this is over, and so often at least, the site dies."""
    over = Event()
    deaths: Counter[str] = Counter()

    def kill() -> None:
        while not over.wait(BETWEEN) or deaths["all"] < DEATHS:
            site.kill()
            deaths["all"] += 1
            site.start()

    site.start()
    killer = Thread(target=kill)
    killer.start()
    try:
        yield deaths
    finally:
        over.set()
        killer.join()
        site.kill()


class Client:
    """Sends writes three times at once."""

    def __init__(self, site: Site, number: int) -> None:
        self.site, self.number, self.headers = site, number, {"Content-Type": "application/json"}
        self.chance = random.Random(number)
        self.left = 0

    def storm(self, method: str, path: str, body: dict) -> dict:
        """The one answer to a write that is sent by three, each until it has an answer."""
        key = f"{self.number} {method} {path}".replace(" ", "-")
        with ThreadPoolExecutor(3) as threads:
            answers = list(threads.map(lambda _: self.until_answered(method, path, body, key), range(3)))
        assert answers[0] == answers[1] == answers[2]
        status, content = answers[0]
        assert status in {200, 201}, content
        return json.loads(content)

    def until_answered(self, method: str, path: str, body: dict, key: str) -> tuple[int, bytes]:
        answer: list[tuple[int, bytes]] = []

        def answered() -> bool:
            with suppress(OSError, HTTPException):
                answer.extend(self.tried(method, path, body, key))
            return bool(answer)

        eventually(answered, 120, f"an answer to {key}", pause=0.05)
        return answer[0]

    def tried(self, method: str, path: str, body: dict, key: str | None) -> list[tuple[int, bytes]]:
        connection = HTTPConnection(self.site.address, timeout=30)
        headers = self.headers if key is None else {**self.headers, "Idempotency-Key": key}
        connection.request(method, path, json.dumps(body), headers)
        if key and self.chance.random() < 0.25:
            self.left += 1
            connection.close()
            return []
        response = connection.getresponse()
        content = response.read()
        connection.close()
        in_progress = response.status == 409 and json.loads(content)["code"] == "idempotency-in-progress"
        return [] if in_progress or response.status in AGAIN else [(response.status, content)]

    def live(self, conference: str) -> None:
        email = f"client-{self.number}@example.org"
        person = {"name": "Ada", "email": email, "password": PASSWORD}
        customer = self.storm("POST", f"{V1}/customers", person)["id"]
        credentials = {"email": email, "password": PASSWORD}
        tokens: list[tuple[int, bytes]] = []

        def signed_in() -> bool:
            with suppress(OSError, HTTPException):
                tokens.extend(self.tried("POST", f"{V1}/auth/token", credentials, None))
            return bool(tokens)

        eventually(signed_in, 120, "a token", pause=0.05)
        self.headers["Authorization"] = f"Token {json.loads(tokens[0][1])['token']}"
        lines = [{"seat_type": "standard", "quantity": 1}]
        order = self.storm(
            "POST", f"{V1}/orders", {"customer_id": customer, "conference_id": conference, "lines": lines}
        )
        self.storm("PATCH", f"{V1}/customers/{customer}", {"name": f"Ada {self.number}"})
        self.storm("POST", f"{V1}/orders/{order['id']}/cancel", {"reason": "a storm"})


def test_each_key_has_one_effect_and_one_answer():
    conference, site = str(shop.conference_on_sale()), Site()
    clients = [Client(site, number) for number in range(CLIENTS)]
    with dying(site) as deaths, ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda client: client.live(conference), clients))
    assert deaths["all"] >= DEATHS
    assert sum(client.left for client in clients) > 0
    wanted = [each.stored for each in (CustomerRegistered, CustomerRenamed, OrderPlaced, OrderCancelled)]
    recorded = Counter(each.type for each in store.read(0, store.head(), wanted, 1000))
    assert recorded == dict.fromkeys(wanted, CLIENTS)
    assert CustomerAccount.objects.count() == CLIENTS
    assert KeyedCall.objects.exclude(answer=None).count() == 4 * CLIENTS
    assert KeyedCall.objects.filter(answer=None).count() == 0
