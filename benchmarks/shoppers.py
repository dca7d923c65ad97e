"""What clients do over HTTP, as anybody would who has the address of the site: look at an order, change what is known
of them, order seats.
"""

import json
import time
from http.client import HTTPConnection
from typing import Any, NamedTuple

from django.contrib.auth.models import User
from knox.models import AuthToken

from benchmarks.buyers import PATIENCE, QUANTITIES, customer, on_sale
from benchmarks.clients import Job
from benchmarks.errors import promise
from benchmarks.report import say
from eventstore.context import new_id
from ordering.models import CustomerAccount

HOST = "127.0.0.1"
ACCOUNTS = 20  # of each client that changes customers, so that none of them has a life of hundreds of changes

_ON_THE_WAY = ("placed", "pending")


class Account(NamedTuple):
    """A customer, a token of theirs, and the conference that they order seats of."""

    customer_id: str
    token: str
    conference_id: str


class Shopper(Job):
    """A customer with an account of their own, over one connection. All share a conference."""

    def __init__(self, client: int, port: int) -> None:
        super().__init__(client)
        self._connection = HTTPConnection(HOST, port, timeout=30)
        self.act_as(self.sign_up())

    def act_as(self, account: Account) -> None:
        self.account = account
        self._headers = {"Content-Type": "application/json", "Authorization": f"Token {account.token}"}

    def sign_up(self) -> Account:
        customer_id, user = customer(), User.objects.create(username=new_id().hex)
        CustomerAccount.objects.create(user=user, customer_id=customer_id)
        return Account(str(customer_id), AuthToken.objects.create(user)[1], str(on_sale("over HTTP")))

    def order(self) -> str:
        """Place an order; answers its id as soon as it awaits its payment, if need be when asked again."""
        order = self.call("POST", "/orders", self.asked())
        while order["status"] in _ON_THE_WAY:
            order = self.call("GET", f"/orders/{order['id']}")
        promise(order["status"] == "awaiting_payment", f"Order {order['id']} is {order['status']}.")
        return str(order["id"])

    def asked(self) -> dict[str, Any]:
        """The body of an order; with the same id it is placed once."""
        return {"id": str(new_id()), **self.seats()}

    def seats(self) -> dict[str, Any]:
        return {
            "customer_id": self.account.customer_id,
            "conference_id": self.account.conference_id,
            "lines": [{"seat_type": code, "quantity": quantity} for code, quantity in QUANTITIES.items()],
        }

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Again where the database can't do it now."""
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


class Order(Shopper):
    """`POST /orders`, over when it is answered that the order awaits its payment."""

    def once(self) -> None:
        self.order()


class GetOrder(Shopper):
    """`GET /orders/{id}` of one that awaits its payment."""

    def __init__(self, client: int, port: int) -> None:
        super().__init__(client, port)
        self._path = f"/orders/{self.order()}"

    def once(self) -> None:
        self.call("GET", self._path)


class PatchCustomer(Shopper):
    """`PATCH /customers/{id}` with another name each time, of one of a few customers after the other."""

    def __init__(self, client: int, port: int) -> None:
        super().__init__(client, port)
        self._accounts, self._times = [self.account, *(self.sign_up() for _ in range(ACCOUNTS - 1))], 0

    def once(self) -> None:
        self._times += 1
        self.act_as(self._accounts[self._times % ACCOUNTS])
        path, name = f"/customers/{self.account.customer_id}", f"Ada Allen {self._times}"
        promise(self.call("PATCH", path, {"name": name})["name"] == name, f"{name} was not taken.")
