"""Those who buy over HTTP, as careful clients do: what was not answered is asked again under the same id, until it is.

Each note is of something that the site answered with 2xx, and so has promised.
"""

import hmac
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from email.message import Message
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from eventstore.context import new_id
from eventstore.transient_errors import is_infrastructure
from tests.chaos.soak.site import HOST
from tests.integration.http_client import PASSWORD, V1

PATIENCE = 300.0
"""Seconds for which one call is repeated: longer than anything stays away."""

AGAIN_AFTER = 0.5
TIMEOUT = 15.0
"""Seconds before a call is repeated, and after which one without an answer is given up."""

ON_THE_WAY = ("placed", "pending")


class Note(NamedTuple):
    """The site has answered: it did `what` to that stream, and all that followed is in the log up to that position."""

    what: str
    stream_id: UUID
    position: int
    at: float


class Refused(Exception):
    """The site answers, and does not do it."""


class Buyers:
    """What all of them know: whom they buy from, and what they were told."""

    def __init__(self, port: int, secret: str, conferences: Sequence[UUID]) -> None:
        self.port, self.secret, self.conferences = port, secret.encode(), conferences
        self.ending = threading.Event()
        self.notes: list[Note] = []
        self.refusals: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.absurd: list[str] = []
        self._threads: list[threading.Thread] = []

    def start(self, kind: "type[Buyer]", seed: str, number: int) -> None:
        for each in range(number):
            buyer = kind(self, f"{seed} {each}")
            self._threads.append(threading.Thread(target=buyer.buy, name=f"buyer {each}", daemon=True))
            self._threads[-1].start()

    def stop(self, seconds: float) -> None:
        """Lets each end what it is at."""
        self.ending.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.absurd.append(f"{thread.name} waits for an answer that does not come")

    def count(self, what: str) -> int:
        return sum(note.what == what for note in self.notes)


class Monitor:
    """Asks as a load balancer, Prometheus and staff do, and counts the answers; `cookie` is that of staff."""

    def __init__(self, port: int, ending: threading.Event, cookie: str) -> None:
        self.statuses: Counter[str] = Counter()
        """By status and path."""
        self._port, self._ending, self._headers = port, ending, {"Cookie": cookie}

    def start(self) -> None:
        threading.Thread(target=self._ask, name="monitor", daemon=True).start()

    def _ask(self) -> None:
        for path in cycle(("/healthz", "/readyz", "/metrics", "/admin/", "/admin/ordering/ordersummary/")):
            if self._ending.wait(0.3):
                return
            connection = HTTPConnection(HOST, self._port, timeout=TIMEOUT)
            with suppress(OSError, HTTPException):
                connection.request("GET", path, headers=self._headers)
                self.statuses[f"{connection.getresponse().status} {path}"] += 1
            connection.close()


def cookie_of_staff() -> str:
    """Of a session in the admin, which was logged in to."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model()._default_manager.get(username="admin"))
    return client.cookies.output(attrs=[], header="").strip()


class Buyer:
    """One of them: registers now and then, orders, and does to each order what chance brings."""

    fates: Mapping[tuple[str, ...], int] = {
        ("pay",): 8,
        ("pay", "pay"): 1,
        ("decline", "pay"): 2,
        ("pay", "mail"): 1,
        ("cancel",): 2,
        ("pay", "cancel"): 2,
        ("run out",): 2,
        ("run out", "pay"): 1,
        (): 1,
    }
    """What is done to an order, one step after the other, and how often that is chosen."""

    def __init__(self, all_of_us: Buyers, seed: str) -> None:
        self._us = all_of_us
        self._random = random.Random(seed)
        self._customer: UUID | None = None
        self._headers: dict[str, str] = {}

    def buy(self) -> None:
        while not self._us.ending.is_set():
            with suppress(Refused):
                self._sale()

    def _sale(self) -> None:
        if self._customer is None or self._random.random() < 0.1:
            self._register()
        elif self._random.random() < 0.1:
            name = {"name": f"Ada {self._random.randint(2, 99)}"}
            self._call("changed", self._customer, "PATCH", f"/customers/{self._customer}", name)
        order_id = new_id()
        asked = {
            "id": str(order_id),
            "customer_id": str(self._customer),
            "conference_id": str(self._random.choice(self._us.conferences)),
            "lines": [{"seat_type": "standard", "quantity": self._random.randint(1, 4)}],
        }
        order = self._call("ordered", order_id, "POST", "/orders", asked)
        for step in self._random.choices(list(self.fates), list(self.fates.values()))[0]:
            self._us.ending.wait(self._random.uniform(0, 0.3))
            self._do(step, order_id, order["total"])

    def _do(self, step: str, order_id: UUID, total: Mapping[str, str]) -> None:
        match step:
            case "pay":
                self._report(order_id, outcome="accepted", amount=total, reference=f"REF-{order_id.hex[-12:]}")
            case "decline":
                self._report(order_id, outcome="declined", reason="The card was declined.")
            case "cancel":
                self._call("cancelled", order_id, "POST", f"/orders/{order_id}/cancel", {})
            case "mail":
                self._call("mail", order_id, "POST", f"/orders/{order_id}/status-mail")
            case "run out":
                let_run_out(order_id)

    def _report(self, order_id: UUID, **report: object) -> None:
        """As the payment provider does."""
        from ordering.domain.values import payment_id_of

        payment_id = payment_id_of(order_id)
        content = {"id": uuid4().hex, "payment_id": str(payment_id), **report}
        what = str(report["outcome"])
        if self._is_to_be_paid(order_id):
            self._call(what, payment_id, "POST", "/webhooks/payments/sandbox", content)

    def _is_to_be_paid(self, order_id: UUID) -> bool:
        """Once the sale has asked for the money; False where it never will, as there are no seats or no time left."""
        while True:
            order = self._call("", order_id, "GET", f"/orders/{order_id}")
            if order.get("payment") or order["status"] not in ON_THE_WAY:
                return bool(order.get("payment"))
            time.sleep(AGAIN_AFTER)

    def _register(self) -> None:
        customer_id = new_id()
        email = f"{customer_id.hex}@example.org"
        asked = {"id": str(customer_id), "name": "Ada", "email": email, "password": PASSWORD}
        self._headers = {}
        self._call("registered", customer_id, "POST", "/customers", asked)
        token = self._call("", customer_id, "POST", "/auth/token", {"email": email, "password": PASSWORD})
        self._headers = {"Authorization": f"Token {token['token']}"}
        self._customer = customer_id

    def _call(
        self,
        what: str,
        stream_id: UUID,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        """What is answered, and a note of it; raises `Refused`."""
        content = json.dumps(body).encode() if body is not None else b""
        for status, answered, headers in self._answers(method, path, content):
            if status < 300:
                if what and "Event-Position" in headers:
                    note = Note(what, stream_id, int(headers["Event-Position"]), time.monotonic())
                    self._us.notes.append(note)
                return json.loads(answered)
            if status == 503:
                self._us.repeated[str(status)] += 1
                continue
            code = json.loads(answered).get("code", "") if status < 500 else "broken"
            self._us.refusals[f"{status} {code}"] += 1
            if status != 409:
                self._us.absurd.append(f"{method} {path} is answered {status}: {answered.decode()[:300]}")
            raise Refused(code)
        self._us.absurd.append(f"{method} {path} is not answered in {PATIENCE:.0f} s")
        raise Refused

    def _answers(self, method: str, path: str, content: bytes) -> Iterator[tuple[int, bytes, Message]]:
        deadline = time.monotonic() + PATIENCE
        signature = hmac.new(self._us.secret, content, sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Signature": signature, **self._headers}
        while time.monotonic() < deadline:
            connection = HTTPConnection(HOST, self._us.port, timeout=TIMEOUT)
            try:
                connection.request(method, f"{V1}{path}", content or None, headers)
                response = connection.getresponse()
                answer = response.status, response.read(), response.headers
            except (OSError, HTTPException) as error:
                self._us.repeated[type(error).__name__] += 1
            else:
                yield answer
            finally:
                connection.close()
            time.sleep(AGAIN_AFTER)


def let_run_out(order_id: UUID) -> None:
    """As if the time to pay were over; not at all while the database is away."""
    from django.db import connections
    from django.db.models.functions import Now

    from sagas.models import Timer

    try:
        Timer.objects.filter(key=order_id, status="waiting").update(due_at=Now())
    except Exception as error:
        if not is_infrastructure(error):
            raise
    finally:
        connections.close_all()
