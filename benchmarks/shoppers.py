"""What clients do that order over HTTP, as anybody would who has the address of the site."""

import json
import time
from http.client import HTTPConnection
from typing import Any

from benchmarks.buyers import PATIENCE, QUANTITIES, on_sale
from benchmarks.clients import Job
from benchmarks.errors import promise
from benchmarks.report import say
from eventstore.context import new_id

HOST = "127.0.0.1"
PASSWORD = "correct horse battery staple"

_ON_THE_WAY = ("placed", "pending")


class Order(Job):
    """`POST /orders`, over when it is answered that the order awaits its payment, if need be when asked again.

    One connection is kept, and one token. All clients share a conference.
    """

    def __init__(self, client: int, port: int) -> None:
        super().__init__(client)
        self._connection = HTTPConnection(HOST, port, timeout=30)
        self._headers = {"Content-Type": "application/json"}
        email = f"{new_id().hex}@example.org"
        customer = self._call("POST", "/customers", {"name": "Ada Allen", "email": email, "password": PASSWORD})
        token = self._call("POST", "/auth/token", {"email": email, "password": PASSWORD})
        self._headers["Authorization"] = f"Token {token['token']}"
        self._asked = {
            "customer_id": customer["id"],
            "conference_id": str(on_sale("over HTTP")),
            "lines": [{"seat_type": code, "quantity": quantity} for code, quantity in QUANTITIES.items()],
        }

    def once(self) -> None:
        order_id = str(new_id())
        order = self._call("POST", "/orders", {**self._asked, "id": order_id})
        while order["status"] in _ON_THE_WAY:
            order = self._call("GET", f"/orders/{order_id}")
        promise(order["status"] == "awaiting_payment", f"Order {order_id} is {order['status']}.")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Again where the database can't do it now: an order with the same id is placed once."""
        deadline = time.monotonic() + PATIENCE
        status, content = self._answer(method, path, body)
        while status == 503 and time.monotonic() < deadline:
            say(f"again, after 503: {method} {path}")
            status, content = self._answer(method, path, body)
        promise(status < 300, f"{method} {path} is answered {status}: {content.decode()}")
        return json.loads(content)

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        """Over a new connection where the site has closed the old one, which nobody used for a while."""
        try:
            return self._ask(method, path, body)
        except ConnectionError:
            self._connection.close()
            return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        self._connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, self._headers)
        response = self._connection.getresponse()
        return response.status, response.read()
