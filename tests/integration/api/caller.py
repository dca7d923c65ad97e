"""A client of the API, for tests: JSON in and out, in the name of one login."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, Permission, User
from knox.models import AuthToken
from rest_framework.test import APIClient

from eventstore import store
from eventstore.context import new_id
from eventstore.models import CommandRecord
from ordering.models import CustomerAccount
from sagas.models import Delivery, Instance, OutboxCommand, Timer
from tests.integration import shop
from tests.integration.api.promised import assert_promised

V1 = "/api/v1"
PASSWORD = "correct horse battery"


class Caller:
    """Calls paths below the base path; `headers` go with every call. Whatever is answered is what the contract says."""

    def __init__(self, token: str = "", **headers: str) -> None:
        self.client = APIClient(raise_request_exception=False)
        self.headers = {"Authorization": f"Token {token}", **headers} if token else headers

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = extra.pop("Content-Type", "application/json")
        content: Any = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        path = path if path.startswith("/api") else V1 + path
        response = self.client.generic(method, path, content, content_type, headers={**self.headers, **extra})
        assert_promised(method, path, response)
        return response

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)


def caller_for(user: User) -> Caller:
    return Caller(AuthToken.objects.create(user=user)[1])


SEEN = ("customerprofile", "ordersummary", "waitlistentry")
"""The read models with what customers are told of themselves."""


def staff(*, sees: Iterable[str] = SEEN, **more: Any) -> Caller:
    """Somebody who may view these read models in the admin."""
    user = User.objects.create(username=f"staff-{new_id().hex}", is_staff=True, **more)
    codenames = [f"view_{name}" for name in sees]
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="ordering", codename__in=codenames))
    return caller_for(user)


def storefront() -> Caller:
    user = User.objects.create(username=f"storefront-{new_id().hex}")
    user.groups.add(Group.objects.get_or_create(name="storefront")[0])
    return caller_for(user)


def follower() -> User:
    """Somebody who may follow the log, and nothing else."""
    user = User.objects.create(username=f"follower-{new_id().hex}")
    user.user_permissions.add(Permission.objects.get(codename="view_storedevent"))
    return user


def customer() -> tuple[UUID, Caller]:
    """Somebody registered, and a client in their name."""
    customer_id = shop.customer()
    user = User.objects.create(username=f"{customer_id.hex}@example.org")
    CustomerAccount.objects.create(user=user, customer_id=customer_id)
    return customer_id, caller_for(user)


def placing(customer_id: UUID, conference_id: UUID, seats: int = 1, **more: Any) -> dict[str, Any]:
    """The body that places an order."""
    lines = [{"seat_type": "standard", "quantity": seats}]
    return {"customer_id": str(customer_id), "conference_id": str(conference_id), "lines": lines, **more}


def written() -> tuple[int, ...]:
    """How much stands in the log, and in the tables of those who act on it."""
    return store.head(), *(model.objects.count() for model in (OutboxCommand, Timer, Instance, Delivery, CommandRecord))


@contextmanager
def nothing_written() -> Iterator[None]:
    """Whatever happens inside leaves no trace."""
    before = written()
    yield
    assert written() == before


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """It is a problem of RFC 9457, with all that a client needs to tell it and to report it."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:boxoffice:problem:{code}"
    assert body["title"]
    assert "Traceback" not in body["detail"]
    assert body["correlation_id"] == response.headers["X-Correlation-Id"]
    return body
