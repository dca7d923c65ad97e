"""A stand-in for Stripe that speaks its HTTP: form-encoded requests, JSON answers, idempotency keys, signed webhooks.

A test plays the customer, the bank and the bad network with it.
"""

import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SECRET_KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
WEBHOOK_SECRET = "whsec_7hVb0f3RkzQ2"


class StripeServer:
    """What Stripe keeps, and what may be made of it. Everything happens under one lock."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.lag_of_search = False
        self.failing: list[int] = []
        """Statuses of the next answers, to requests of which nothing comes."""
        self.losing: list[str] = []
        """Methods of requests that are carried out and not answered."""
        self.delay = 0.0
        self.instant_refunds = True
        self._answered: dict[str, tuple[dict[str, str], int, dict[str, Any]]] = {}
        self._count = 0
        self._lock = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                self._answer(url.path, dict(parse_qsl(url.query)))

            def do_POST(self) -> None:
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                content = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(urlsplit(self.path).path, dict(parse_qsl(content)))

            def _answer(self, path: str, form: dict[str, str]) -> None:
                status, body, headers = server.handle(self.command, path, form, dict(self.headers))
                if status is None:
                    self.close_connection = True
                    return
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                with suppress(ConnectionError):  # who asked doesn't wait any more
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Tests say what they want to know."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["StripeServer"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def forget_keys(self) -> None:
        """A day passes."""
        self._answered.clear()

    def handle(
        self, method: str, path: str, form: dict[str, str], headers: dict[str, str]
    ) -> tuple[int | None, dict[str, Any], dict[str, str]]:
        """The status, None where the connection breaks before an answer; the body; the headers."""
        time.sleep(self.delay)
        with self._lock:
            self.requests.append((method, path, form))
            if headers.get("Authorization") != f"Bearer {SECRET_KEY}":
                key = headers.get("Authorization", "").removeprefix("Bearer ")
                return 401, _error(f"Invalid API Key provided: {key}"), {}
            if self.failing:
                return self.failing.pop(0), _error("Something went wrong.", kind="api_error"), {}
            status, body, replayed = self._once(method, path, form, headers.get("Idempotency-Key", ""))
            if method in self.losing:
                self.losing.remove(method)
                return None, {}, {}
            return status, body, {"Idempotent-Replayed": "true"} if replayed else {}

    def _once(self, method: str, path: str, form: dict[str, str], key: str) -> tuple[int, dict[str, Any], bool]:
        if method != "POST":
            return *self._do(method, path, form), False
        assert key, "A POST without an idempotency key may be done twice."
        if key in self._answered:
            asked, status, body = self._answered[key]
            if asked != form:
                return 400, _error("Keys can only be used with the same parameters.", kind="idempotency_error"), False
            return status, body, True
        status, body = self._do(method, path, form)
        self._answered[key] = form, status, json.loads(json.dumps(body))
        return status, body, False

    def _do(self, method: str, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        routes: dict[tuple[str, str], Callable[..., tuple[int, dict[str, Any]]]] = {
            ("POST", "/v1/checkout/sessions"): self._create_session,
            ("GET", "/v1/checkout/sessions"): self._list_sessions,
            ("GET", "/v1/payment_intents/search"): self._search,
            ("POST", "/v1/refunds"): self._create_refund,
            ("GET", "/v1/refunds"): self._list_refunds,
        }
        if (method, path) in routes:
            return routes[method, path](form)
        session = self.sessions[path.removeprefix("/v1/checkout/sessions/")]
        if form.get("expand[0]") == "payment_intent" and session["payment_intent"]:
            return 200, session | {"payment_intent": self.intents[session["payment_intent"]]}
        return 200, session

    def _create_session(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        number = self._next("cs")
        self.sessions[number] = {
            "id": number,
            "object": "checkout.session",
            "mode": form["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
            "currency": form["line_items[0][price_data][currency]"],
            "metadata": _nested(form, "metadata"),
            "intent_metadata": _nested(form, "payment_intent_data[metadata]"),
            "url": f"https://checkout.example/{number}",
            "success_url": form["success_url"],
        }
        return 200, self.sessions[number]

    def _list_sessions(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        return _list(each for each in self.sessions.values() if each["payment_intent"] == form["payment_intent"])

    def _search(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        query = re.fullmatch(r"metadata\['(\w+)'\]:'([^']+)'", form["query"])
        assert query
        found = [each for each in self.intents.values() if each["metadata"].get(query[1]) == query[2]]
        status, body = _list([] if self.lag_of_search else found)
        return status, body | {"object": "search_result", "next_page": None}

    def _create_refund(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        intent = self.intents.get(form["payment_intent"])
        if intent is None:
            return 404, _error("No such payment_intent.", code="resource_missing")
        given_back = sum(each["amount"] for each in self._refunds_of(intent["id"]) if each["status"] != "failed")
        if int(form["amount"]) > intent["amount_received"] - given_back:
            return 400, _error(
                "Refund amount is greater than unrefunded amount on charge.", code="charge_already_refunded"
            )
        refund = self.give_back(intent["id"], int(form["amount"]), _nested(form, "metadata"))
        return 200, refund

    def _list_refunds(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form["payment_intent"] not in self.intents:
            return 404, _error("No such payment_intent.", code="resource_missing")
        return _list(self._refunds_of(form["payment_intent"]))

    def _refunds_of(self, intent: str) -> list[dict[str, Any]]:
        return [each for each in self.refunds.values() if each["payment_intent"] == intent]

    # What customers, banks and staff do.

    def pay(self, session: dict[str, Any], *, later: bool = False) -> str:
        """With a card, or with a debit that takes days; the PaymentIntent."""
        intent = self._intent(session)
        session["status"] = "complete"
        if later:
            intent["status"] = "processing"
            self._emit("payment_intent.processing", intent)
        else:
            self._succeed(session, intent)
        self._emit("checkout.session.completed", session)
        return str(intent["id"])

    def try_a_card_that_is_declined(self, session: dict[str, Any]) -> None:
        self._intent(session)["status"] = "requires_payment_method"

    def expire(self, session: dict[str, Any]) -> None:
        session["status"] = "expired"

    def debit_succeeds(self, session: dict[str, Any]) -> None:
        self._succeed(session, self.intents[session["payment_intent"]])
        self._emit("checkout.session.async_payment_succeeded", session)

    def debit_fails(self, session: dict[str, Any]) -> None:
        self.intents[session["payment_intent"]]["status"] = "requires_payment_method"
        self._emit("checkout.session.async_payment_failed", session)

    def give_back(self, intent: str, amount: int, metadata: dict[str, str] | None = None) -> dict[str, Any]:
        """As one does by hand, without metadata, in the Dashboard."""
        number = self._next("re")
        self.refunds[number] = {
            "id": number,
            "object": "refund",
            "status": "succeeded" if self.instant_refunds else "pending",
            "payment_intent": intent,
            "amount": amount,
            "currency": self.intents[intent]["currency"],
            "metadata": metadata or {},
            "failure_reason": None,
        }
        self._emit("refund.created", self.refunds[number])
        self._emit("charge.refunded", {"id": self._next("ch"), "object": "charge", "metadata": {}})
        return self.refunds[number]

    def refund_ends(self, refund: dict[str, Any], status: str, reason: str | None = None) -> None:
        refund |= {"status": status, "failure_reason": reason}
        self._emit("refund.failed" if status == "failed" else "refund.updated", refund)

    def _intent(self, session: dict[str, Any]) -> dict[str, Any]:
        number = session["payment_intent"] or self._next("pi")
        session["payment_intent"] = number
        return self.intents.setdefault(
            number,
            {
                "id": number,
                "object": "payment_intent",
                "status": "requires_payment_method",
                "amount": session["amount_total"],
                "amount_received": 0,
                "currency": session["currency"],
                "metadata": session["intent_metadata"],
            },
        )

    def _succeed(self, session: dict[str, Any], intent: dict[str, Any]) -> None:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        session["payment_status"] = "paid"

    def _emit(self, what: str, about: dict[str, Any]) -> None:
        event = {"id": self._next("evt"), "object": "event", "type": what, "data": {"object": about}}
        self.events.append(json.loads(json.dumps(event)))

    def _next(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count}"


def sign(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> str:
    """The header of a webhook: when it was signed, and the HMAC of that and the body."""
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, sha256).hexdigest()
    return f"t={moment},v1={digest},v0={'0' * 64}"


def deliver(events: list[dict[str, Any]], url: str) -> list[int]:
    """Calls a webhook for each event, in this order; the statuses that it answers."""
    statuses = []
    for event in events:
        body = json.dumps(event).encode()
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("POST", urlsplit(url).path, body, {"Stripe-Signature": sign(body)})
        statuses.append(connection.getresponse().status)
        connection.close()
    return statuses


def _list(objects: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"object": "list", "data": list(objects), "has_more": False, "url": "/v1"}


def _nested(form: dict[str, str], name: str) -> dict[str, str]:
    return {key[len(name) + 1 : -1]: value for key, value in form.items() if key.startswith(f"{name}[")}


def _error(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}
