"""The real server, over real HTTP."""

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from eventstore.models import StoredEvent
from ordering.api.body_limit import LARGEST
from ordering.models import CustomerAccount
from tests.integration import shop
from tests.integration.api.caller import PASSWORD, V1, nothing_written, placing
from tests.integration.http_client import Http


@pytest.fixture(scope="module")
def site(sites):
    with sites() as address:
        yield address


@pytest.fixture
def ada(site):
    client = Http(site)
    return client.register(), client


def test_a_sale_goes_from_the_order_to_the_confirmation_under_one_correlation_id_a_request(ada):
    customer, client = ada
    wish = str(uuid4())
    placed = client.call("POST", f"{V1}/orders", placing(customer, shop.conference_on_sale()), X_Correlation_Id=wish)
    assert placed.status == 201
    assert placed.headers["X-Correlation-Id"] == wish
    order = json.loads(placed.content)
    paying = client.call("POST", f"{V1}/sandbox/payments/{order['payment']['id']}", {"outcome": "accepted"})
    assert paying.status == 202
    assert json.loads(client.call("GET", f"{V1}/orders/{order['id']}").content)["status"] == "confirmed"
    chain = StoredEvent.objects.filter(correlation_id=wish)
    assert [event.type for event in chain] == ["order.placed", "seats.reserved", "payment.requested"]
    assert chain[0].actor == f"customer:{customer}"
    paid = StoredEvent.objects.filter(correlation_id=paying.headers["X-Correlation-Id"])
    assert [event.type for event in paid] == [
        "payment.accepted",
        "finance.payment-received",
        "order.payment-credited",
        "order.confirmed",
        "seats.sold",
    ]


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(site):
    address = urlsplit(site)
    with nothing_written(), socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        head = f"POST {V1}/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n{{"
        connection.sendall(head.encode())
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer
    assert b"x-correlation-id" in answer.lower()


def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large(ada):
    with nothing_written():
        response = ada[1].call("POST", f"{V1}/orders", iter([b" " * 1024] * (LARGEST // 1024 + 1)))
    assert response.status == 413
    assert json.loads(response.content)["correlation_id"] == response.headers["X-Correlation-Id"]


def test_a_body_in_chunks_is_read(ada):
    customer, client = ada
    content = json.dumps(placing(customer, shop.conference_on_sale())).encode()
    assert client.call("POST", f"{V1}/orders", iter([content[:10], content[10:]])).status == 201


def test_a_registration_that_is_sent_many_times_at_once_happens_once(site):
    body = {"id": str(uuid4()), "name": "Ada", "email": f"{uuid4().hex}@example.org", "password": PASSWORD}
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: Http(site).call("POST", f"{V1}/customers", body), range(4)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert StoredEvent.objects.filter(stream_id=body["id"]).count() == 1
    assert CustomerAccount.objects.filter(customer_id=body["id"]).count() == 1


def test_an_order_does_not_wait_for_a_frozen_broker(sites):
    with socket.create_server(("127.0.0.1", 0), backlog=50) as frozen:
        broker = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        with sites(REDIS_URL=broker, BROKER_URL=broker) as address:
            client = Http(address)
            customer = client.register()
            body = placing(customer, shop.conference_on_sale())
            begin = time.monotonic()
            for _ in range(3):
                assert client.call("POST", f"{V1}/orders", body).status == 201
            ready = client.call("GET", "/readyz")
            assert (ready.status, json.loads(ready.content)["status"]) == (200, "degraded")
            assert time.monotonic() - begin < 50  # by Celery's own rules a single one takes twenty


def test_without_a_database_every_answer_is_a_problem(sites):
    gone = urlsplit(os.environ["DATABASE_URL"])._replace(path="/nowhere").geturl()
    with sites(DATABASE_URL=gone) as address:
        client = Http(address)
        client.headers["Authorization"] = "Token 0123456789abcdef"
        response = client.call("GET", f"{V1}/orders")
        assert response.status == 503
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Retry-After"]
        assert json.loads(response.content)["code"] == "unavailable"
        assert client.call("GET", "/readyz").status == 503
        assert client.call("GET", "/healthz").status == 200
