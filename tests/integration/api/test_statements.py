"""What each call asks of the database and of Redis, once this process knows what it remembers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import AuthToken
from redis.connection import AbstractConnection

from benchmarks.wire import Trip, traced
from eventstore import database, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering import tokens
from ordering.domain.order import CancelOrder
from ordering.domain.values import payment_id_of
from ordering.pages.links import email_token, password_token
from ordering.providers.registry import provider
from ordering.providers.sandbox import Sandbox
from sagas.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from sagas.testing import bring_to_rest
from sagas.webhooks import endpoints
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import PASSWORD, Caller, caller_for, placing
from tests.integration.api.walk import calls

pytestmark = pytest.mark.usefixtures("clean", "quick_passwords")

WARM, FEW = 2, 3
"""How often a call is made before it is looked at, and how many statements need no reason."""

Call = Callable[[], Any]


class Cost(NamedTuple):
    """Statements, BEGIN and COMMIT among them, in how many round trips; `redis` round trips; and why so many."""

    statements: int
    trips: int
    redis: int = 0
    why: str = ""


class World:
    """Somebody who has what all calls are about. Each method makes one call ready, of something new each time."""

    def __init__(self) -> None:
        self.customer, self.ada = callers.customer()
        self.follower = caller_for(callers.follower())
        self.manager = caller_for(User.objects.create_superuser(new_id().hex))
        self.conference = shop.conference_on_sale()

    def order(self) -> UUID:
        return shop.order(self.customer, self.conference, 2)

    def entry(self) -> UUID:
        full = shop.conference_on_sale(capacity=1)
        return shop.wait(self.customer, full, 2)

    def offer(self) -> UUID:
        """An entry whose seats are on offer."""
        full = shop.conference_on_sale(capacity=2)
        other = shop.order(shop.customer(), full, 2)
        entry = shop.wait(self.customer, full, 2)
        dispatch(CancelOrder(order_id=other))
        bring_to_rest(deliver=False)
        return entry

    def consumer(self) -> str:
        name = f"warehouse-{new_id().hex}"
        self.follower.call("PUT", f"/consumers/{name}", {"position": 1})
        return name

    def endpoint(self) -> UUID:
        """One that nothing is sent to, for it is no public address."""
        row = WebhookEndpoint(url="https://127.0.0.1/", owner="ops@example.org")
        endpoints.create(row)
        return row.pk

    def delivery(self) -> str:
        """Below its endpoint; it is still to be sent."""
        endpoint = self.endpoint()
        event = StoredEvent.objects.order_by("position")[0]
        told = {"position": event.position, "stream_id": event.stream_id, "type": event.type}
        return f"{endpoint}/deliveries/{WebhookDelivery.objects.create(endpoint_id=endpoint, **told).pk}"

    def login(self) -> dict[str, str]:
        email = f"{new_id().hex}@example.org"
        User.objects.create_user(email, password=PASSWORD)
        return {"email": email, "password": PASSWORD}


Ready = Callable[[World], Call]


def _customer(world: World) -> Call:
    body = {"name": "Grace", "email": f"{new_id().hex}@example.org", "password": PASSWORD}
    return lambda: Caller().post("/customers", body)


def _webhook(world: World) -> Call:
    sandbox = provider("sandbox")
    assert isinstance(sandbox, Sandbox)
    notice = {
        "id": new_id().hex,
        "payment_id": str(payment_id_of(world.order())),
        "outcome": "accepted",
        "amount": {"amount": "199.00", "currency": "EUR"},
        "reference": new_id().hex,
    }
    body = json.dumps(notice).encode()
    return lambda: Caller().call("POST", "/webhooks/payments/sandbox", body, **sandbox.sign(body))


def _entry(world: World) -> Call:
    lines = [{"seat_type": "standard", "quantity": 2}]
    body = {"conference_id": str(shop.conference_on_sale(capacity=1)), "lines": lines}
    return lambda: world.ada.post("/waitlist", body)


def _token(world: World) -> Call:
    login = world.login()
    return lambda: Caller().post("/auth/token", login)


def _known(caller: Caller) -> Any:
    """The token that somebody calls with, which was used in this hour."""
    (token,) = caller.get("/auth/tokens").json()["results"]
    return token


def _revoked(path: str) -> Ready:
    def ready(world: World) -> Call:
        caller = callers.storefront()
        below = path.format(_known(caller)["id"])
        return lambda: caller.delete(below)

    return ready


def _forgotten(world: World) -> Call:
    body = {"email": f"{new_id().hex}@example.org"}
    return lambda: Caller().post("/auth/password/reset", body)


def _chosen(world: World) -> Call:
    customer_id, _ = callers.customer()
    user = User.objects.get(customer__customer_id=customer_id)
    token = password_token(customer_id, f"{customer_id.hex}@example.org", user.password, timezone.now())
    return lambda: Caller().post("/auth/password", {"token": token, "password": PASSWORD})


def _confirmed(world: World) -> Call:
    customer_id = shop.customer()
    token = email_token(customer_id, f"{customer_id.hex}@example.org", 1, timezone.now())
    return lambda: Caller().post("/auth/email/confirm", {"token": token})


def _renamed(world: World) -> Call:
    name = new_id().hex
    return lambda: world.ada.patch(f"/customers/{world.customer}", {"name": name})


def _placed(world: World) -> Call:
    body = placing(world.customer, world.conference, 2)
    return lambda: world.ada.post("/orders", body)


def _by(
    who: Callable[[World], Caller],
    method: str,
    path: str,
    about: Callable[[World], Any] | None = None,
    body: Any = None,
) -> Ready:
    def ready(world: World) -> Call:
        below = path.format(about(world)) if about else path
        return lambda: who(world).call(method, below, body)

    return ready


_by_ada, _by_follower = partial(_by, attrgetter("ada")), partial(_by, attrgetter("follower"))
_by_manager = partial(_by, attrgetter("manager"))

HOOK = {"url": "https://example.org/hook", "owner": "ops@example.org"}
ONE = {"lines": [{"seat_type": "standard", "quantity": 1}]}
CHAIN = (
    "each of these commands is decided in three round trips, or four where it looks at other streams, and fed in three"
)
ENTRY = "the waitlist has a snapshot, and its entry is read with its place in line"
KEPT = "the endpoint is kept still meanwhile, and read as it is then"
REVOKED = "Django looks for what belongs to a token, and deletes in a transaction"
RIGHTS = "Django asks for the rights of the user and of the groups"

CALLS: dict[str, tuple[Ready, Cost]] = {
    "POST /auth/token": (_token, Cost(6, 6, 5, "forgets expired tokens; counts attempts of the place and the login")),
    "DELETE /auth/token": (_revoked("/auth/token"), Cost(2, 2)),
    "GET /auth/tokens": (_by_ada("GET", "/auth/tokens"), Cost(2, 2)),
    "DELETE /auth/tokens": (_revoked("/auth/tokens"), Cost(4, 4, why=REVOKED)),
    "DELETE /auth/tokens/<token_id>": (_revoked("/auth/tokens/{}"), Cost(4, 4, why=REVOKED)),
    "POST /auth/password/reset": (_forgotten, Cost(10, 4, 2, f"whoever the address is of; {CHAIN}")),
    "POST /auth/password": (
        _chosen,
        Cost(28, 22, 2, f"the link is looked at again once the login is kept still; {CHAIN}"),
    ),
    "POST /auth/email/confirm": (_confirmed, Cost(12, 6, why=f"the link is looked at first; {CHAIN}")),
    "POST /customers": (_customer, Cost(23, 16, 1, f"the login has a transaction of its own; {CHAIN}")),
    "GET /customers/<customer_id>": (_by_ada("GET", "/customers/{}", lambda world: world.customer), Cost(2, 2)),
    "PATCH /customers/<customer_id>": (_renamed, Cost(13, 7, why=CHAIN)),
    "POST /customers/<customer_id>/email-link": (
        _by_ada("POST", "/customers/{}/email-link", lambda world: world.customer),
        Cost(14, 8, 2, f"counts mails to the mailbox; {CHAIN}"),
    ),
    "GET /conferences": (_by_ada("GET", "/conferences"), Cost(2, 2)),
    "GET /conferences/<conference_id>": (
        _by_ada("GET", "/conferences/{}", lambda world: world.conference),
        Cost(2, 2),
    ),
    "GET /orders": (_by_ada("GET", "/orders", World.order), Cost(3, 3)),
    "POST /orders": (_placed, Cost(49, 22, why=f"three commands; {CHAIN}")),
    "GET /orders/<order_id>": (_by_ada("GET", "/orders/{}", World.order), Cost(2, 2)),
    "POST /orders/<order_id>/cancel": (
        _by_ada("POST", "/orders/{}/cancel", World.order, {}),
        Cost(31, 14, why=f"two commands; {CHAIN}"),
    ),
    "POST /orders/<order_id>/payments": (
        _by_ada("POST", "/orders/{}/payments", World.order, {}),
        Cost(5, 5, why="the caller, the order and its payment from the log, its row, and where the log stands"),
    ),
    "POST /orders/<order_id>/quantities": (
        _by_ada("POST", "/orders/{}/quantities", World.order, ONE),
        Cost(68, 30, why=f"four commands; {CHAIN}"),
    ),
    "POST /orders/<order_id>/status-mail": (
        _by_ada("POST", "/orders/{}/status-mail", World.order),
        Cost(15, 8, why=CHAIN),
    ),
    "GET /orders/<order_id>/history": (_by_ada("GET", "/orders/{}/history", World.order), Cost(3, 3)),
    "GET /waitlist": (_by_ada("GET", "/waitlist", World.entry), Cost(3, 3)),
    "POST /waitlist": (_entry, Cost(17, 10, why=f"{ENTRY}; {CHAIN}")),
    "GET /waitlist/<entry_id>": (_by_ada("GET", "/waitlist/{}", World.entry), Cost(2, 2)),
    "DELETE /waitlist/<entry_id>": (
        _by_ada("DELETE", "/waitlist/{}", World.entry),
        Cost(15, 9, why=f"{ENTRY}; {CHAIN}"),
    ),
    "POST /waitlist/<entry_id>/accept": (
        _by_ada("POST", "/waitlist/{}/accept", World.offer),
        Cost(16, 10, why=f"{ENTRY}; {CHAIN}"),
    ),
    "POST /waitlist/<entry_id>/decline": (
        _by_ada("POST", "/waitlist/{}/decline", World.offer),
        Cost(15, 9, why=f"{ENTRY}; {CHAIN}"),
    ),
    "POST /webhooks/payments/<provider>": (_webhook, Cost(63, 24, why=f"four commands; {CHAIN}")),
    "POST /sandbox/payments/<payment_id>": (
        _by_ada("POST", "/sandbox/payments/{}", lambda world: payment_id_of(world.order()), {"outcome": "accepted"}),
        Cost(66, 27, why="the caller, the payment and its order, and then the webhook"),
    ),
    "GET /events": (_by_follower("GET", "/events"), Cost(6, 6, why=RIGHTS)),
    "GET /consumers": (_by_follower("GET", "/consumers", World.consumer), Cost(6, 6, why=RIGHTS)),
    "GET /consumers/<name>": (_by_follower("GET", "/consumers/{}", World.consumer), Cost(6, 6, why=RIGHTS)),
    "PUT /consumers/<name>": (
        _by_follower("PUT", "/consumers/{}", World.consumer, {"position": 1}),
        Cost(9, 9, why=f"{RIGHTS}; the report before is looked at and kept still"),
    ),
    "GET /webhook-endpoints": (_by_manager("GET", "/webhook-endpoints", World.endpoint), Cost(2, 2)),
    "POST /webhook-endpoints": (
        _by_manager("POST", "/webhook-endpoints", body=HOOK),
        Cost(8, 8, why=f"where the log ends; {KEPT}"),
    ),
    "GET /webhook-endpoints/<endpoint_id>": (
        _by_manager("GET", "/webhook-endpoints/{}", World.endpoint),
        Cost(2, 2),
    ),
    "PATCH /webhook-endpoints/<endpoint_id>": (
        _by_manager("PATCH", "/webhook-endpoints/{}", World.endpoint, {"description": "CRM"}),
        Cost(6, 6, why=KEPT),
    ),
    "DELETE /webhook-endpoints/<endpoint_id>": (
        _by_manager("DELETE", "/webhook-endpoints/{}", World.endpoint),
        Cost(6, 6, why=KEPT),
    ),
    "POST /webhook-endpoints/<endpoint_id>/rotate": (
        _by_manager("POST", "/webhook-endpoints/{}/rotate", World.endpoint),
        Cost(6, 6, why=KEPT),
    ),
    "POST /webhook-endpoints/<endpoint_id>/test": (
        _by_manager("POST", "/webhook-endpoints/{}/test", World.endpoint),
        Cost(3, 3),
    ),
    "GET /webhook-endpoints/<endpoint_id>/deliveries": (
        _by_manager("GET", "/webhook-endpoints/{}/deliveries", lambda world: world.delivery().partition("/")[0]),
        Cost(4, 4, why="the caller, the endpoint, its deliveries, and what came of the one that there is"),
    ),
    "POST /webhook-endpoints/<endpoint_id>/deliveries/<delivery_id>/resend": (
        _by_manager("POST", "/webhook-endpoints/{}/resend", World.delivery),
        Cost(9, 9, why=KEPT),
    ),
    "DELETE /consumers/<name>": (_by_follower("DELETE", "/consumers/{}", World.consumer), Cost(7, 7, why=RIGHTS)),
}


@pytest.fixture
def world(settings: Any) -> World:
    settings.UNPAID_ORDERS = settings.UNPAID_SEATS = 0
    return World()


@contextmanager
def _sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What this process sends to Redis until the block ends."""
    sent: list[str] = []
    send = AbstractConnection.send_packed_command

    def noted(self: Any, command: Any, check_health: bool = True) -> None:
        sent.append(str(command))
        send(self, command, check_health)

    with monkeypatch.context() as patch:
        patch.setattr(AbstractConnection, "send_packed_command", noted)
        yield sent


@pytest.fixture
def within_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is noted as used once an hour, and none begins meanwhile."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)

    class Clock:
        now = staticmethod(lambda: hour)

    monkeypatch.setattr(tokens, "timezone", Clock)


@pytest.mark.usefixtures("within_an_hour")
@pytest.mark.parametrize("call", CALLS)
def test_a_call_costs_so_much_and_no_more(world: World, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ready, cost = CALLS[call]
    for _ in range(WARM):
        assert ready(world)().status_code < 300
    carry_out = ready(world)
    trips: list[Trip] = []
    with _sent(monkeypatch) as sent, traced(database.session(), trips):
        assert carry_out().status_code < 300
    # Bells are rung as often as a clock says, whatever is called.
    trips = [trip for trip in trips if not any("eventstore_doorbell" in each for each in trip.statements)]
    sent = [each for each in sent if "LPUSH" not in each]
    found = (sum(len(trip.statements) for trip in trips), len(trips), len(sent))
    assert found == cost[:3], "\n".join([*(trip.what for trip in trips), *sent])


def _paid(world: World) -> None:
    order = shop.order(world.customer, shop.conference_on_sale(), 2)
    shop.pay(order, 2)
    bring_to_rest(deliver=False)


def _delivered(world: World) -> None:
    """Another delivery to the oldest endpoint, with what was answered."""
    endpoint = WebhookEndpoint.objects.order_by("created_at").first() or WebhookEndpoint(pk=world.endpoint())
    told = {"position": store.head() + WebhookDelivery.objects.count(), "stream_id": new_id(), "type": "order.placed"}
    delivery = WebhookDelivery.objects.create(endpoint_id=endpoint.pk, **told)
    for code in (500, 200):
        WebhookAttempt.objects.create(delivery=delivery, seconds=0.1, code=code)


LISTS: dict[str, tuple[Callable[[World], Any], Callable[[World], Any]]] = {
    "conferences": (lambda _: shop.conference_on_sale(), lambda world: world.ada.get("/conferences")),
    "open orders": (
        lambda world: shop.order(world.customer, shop.conference_on_sale()),
        lambda world: world.ada.get("/orders"),
    ),
    "confirmed orders": (_paid, lambda world: world.ada.get("/orders?status=confirmed")),
    "waitlist": (World.entry, lambda world: world.ada.get("/waitlist")),
    "consumers": (World.consumer, lambda world: world.follower.get("/consumers")),
    "endpoints": (World.endpoint, lambda world: world.manager.get("/webhook-endpoints")),
    "deliveries": (
        _delivered,
        lambda world: world.manager.get(f"/webhook-endpoints/{WebhookEndpoint.objects.get().pk}/deliveries"),
    ),
    "tokens": (
        lambda world: AuthToken.objects.create(user=User.objects.get(customer__customer_id=world.customer)),
        lambda world: world.ada.get("/auth/tokens"),
    ),
}
"""What adds a row to a list, about something new each time, and the list."""


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_however_many_rows_it_has(world: World, name: str) -> None:
    add, read = LISTS[name]
    found: list[tuple[int, int]] = []
    for rows in (1, 4):
        for _ in range(rows):
            add(world)
        read(world)
        trips: list[Trip] = []
        with traced(database.session(), trips):
            shown = len(read(world).json()["results"])
        found.append((shown, sum(len(trip.statements) for trip in trips)))
    (few, cost), (many, same) = found
    assert few + 4 == many
    assert cost == same


def test_what_takes_more_than_a_few_statements_says_why() -> None:
    assert [call for call, (_, cost) in CALLS.items() if cost.statements > FEW and not cost.why] == []


def test_every_call_has_a_row() -> None:
    assert sorted(CALLS) == sorted(calls())
