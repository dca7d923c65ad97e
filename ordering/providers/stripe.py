"""Stripe: the customer pays at its page, a Checkout Session. What came of it, its webhook reports.

What a payment is to us is a PaymentIntent to Stripe, and its id is the reference of the money. A report's id derives
from the object and what became of it, so whatever says the same has the same: an event that is sent again, another
event about it, a look-up.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

import msgspec
import stripe
from django.conf import settings

from ordering.domain.values import Money
from ordering.providers.minor_units import from_minor_units, to_minor_units
from ordering.providers.provider import (
    Instructions,
    InvalidSignature,
    Outcome,
    RefundAnswer,
    RefundOutcome,
    RefundReport,
    Report,
)

API_URL = "https://api.stripe.com"
TIMEOUT = (5.0, 20.0)
"""Seconds to connect, and to wait for each part of an answer. Nothing is tried again here: whoever asks does that."""

TOLERANCE_SECONDS = 300
"""How old a signature may be."""

PAYMENT_ID, REFUND_KEY = "payment_id", "refund_key"
"""What our objects at Stripe bear as metadata. Those of others that share the account bear none."""

FAILED = ("requires_payment_method", "canceled")
"""States of a PaymentIntent that came to nothing, once its session is complete."""


class KeyRefused(Exception):
    """Stripe refuses the secret key, or what is asked with it."""


class Stripe:
    name = "stripe"
    remote = True

    def __init__(
        self,
        *,
        secret_key: str,
        webhook_secret: str,
        return_url: str,
        api_url: str = API_URL,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._webhook_secret, self._return_url = webhook_secret, return_url
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_url},
            http_client=stripe.RequestsClient(timeout=timeout),
            max_network_retries=0,
        )

    @classmethod
    def configured(cls) -> "Stripe | None":
        """With the keys of the settings; None without them."""
        if not (settings.STRIPE_SECRET_KEY and settings.STRIPE_WEBHOOK_SECRET):
            return None
        return cls(
            secret_key=settings.STRIPE_SECRET_KEY,
            webhook_secret=settings.STRIPE_WEBHOOK_SECRET,
            return_url=settings.STRIPE_RETURN_URL,
            api_url=settings.STRIPE_API_URL,
        )

    def start(self, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
        """The page of a session, the same until that has expired or its payment has failed; then that of a new one.
        There is no page while a payment is under way, nor after it. Raises `ValueError` for an amount that Stripe can't
        collect.
        """
        with _discreet():
            session = self._session(payment_id, str(payment_id), order_number, to_minor_units(amount), amount.currency)
            while _is_over(session):
                key = f"{payment_id}/{session.id}"
                session = self._session(payment_id, key, order_number, to_minor_units(amount), amount.currency)
        if session.status == "complete":
            return Instructions(text="The payment is under way, or done.")
        return Instructions(pay_url=session.url, text="Please pay at the page of Stripe.")

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        signature = headers.get("Stripe-Signature", "")
        if not signature.isascii():
            raise InvalidSignature
        try:
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            raise InvalidSignature from None

    def reports(self, body: bytes) -> Sequence[Report | RefundReport]:
        event = msgspec.json.decode(body, type=Event)
        match event.type:
            case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
                return _of_session(_read(event, Session), failed=False)
            case "checkout.session.async_payment_failed":
                return _of_session(_read(event, Session), failed=True)
            case "payment_intent.processing":
                return _of_intent(_read(event, Intent))
            case "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated":
                return _of_refund(_read(event, Refund))
            case "charge.refunded":
                refunds = _read(event, Charge).refunds
                return [report for each in refunds.data for report in _of_refund(each)] if refunds else ()
        return ()

    def refund(self, reference: str, amount: Money, *, key: UUID) -> RefundAnswer:
        """Stripe forgets idempotency keys after a day, so the key is part of the refund, and is looked for first."""
        with _discreet():
            try:
                known = [each for each in self._refunds(reference) if each.ours(REFUND_KEY) == key]
                return _answer(known[0] if known else self._refund(reference, amount, key))
            except stripe.InvalidRequestError as error:
                return RefundAnswer(outcome=RefundOutcome.FAILED, reason=error.user_message or "Stripe refused it.")

    def look_up(self, payment_id: UUID) -> Sequence[Report | RefundReport]:
        """By a search, whose index is a minute behind, and more in an outage of theirs."""
        found: list[Report | RefundReport] = []
        with _discreet():
            query = f"metadata['{PAYMENT_ID}']:'{payment_id}'"
            for each in self._client.v1.payment_intents.search({"query": query}).auto_paging_iter():
                intent = _convert(each, Intent)
                found += _of_intent(intent, session_complete=intent.status in FAILED and self._is_complete(intent))
                if intent.status == "succeeded":
                    found += [report for refund in self._refunds(intent.id) for report in _of_refund(refund)]
        return found

    def _session(self, payment_id: UUID, key: str, number: str, amount: int, currency: str) -> "Session":
        """A new session, or as it is now the one that was made under this key."""
        metadata = {PAYMENT_ID: str(payment_id)}
        made = self._client.v1.checkout.sessions.create(
            {
                "mode": "payment",
                "client_reference_id": str(payment_id),
                "metadata": metadata,
                "payment_intent_data": {"metadata": metadata, "description": f"Order {number}"},
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": currency.lower(),
                            "unit_amount": amount,
                            "product_data": {"name": f"Order {number}"},
                        },
                    }
                ],
                "success_url": self._return_url,
                "cancel_url": self._return_url,
            },
            {"idempotency_key": key},
        )
        if made.last_response and made.last_response.headers.get("Idempotent-Replayed") == "true":
            made = self._client.v1.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]})
        return _convert(made, Session)

    def _is_complete(self, intent: "Intent") -> bool:
        """Whether the customer has left the session. Until then a card that was declined may be followed by another."""
        sessions = self._client.v1.checkout.sessions.list({"payment_intent": intent.id})
        return any(each.status == "complete" for each in sessions.data)

    def _refund(self, reference: str, amount: Money, key: UUID) -> "Refund":
        made = self._client.v1.refunds.create(
            {"payment_intent": reference, "amount": to_minor_units(amount), "metadata": {REFUND_KEY: str(key)}},
            {"idempotency_key": str(key)},
        )
        return _convert(made, Refund)

    def _refunds(self, reference: str) -> "Iterator[Refund]":
        listed = self._client.v1.refunds.list({"payment_intent": reference, "limit": 100})
        return (_convert(each, Refund) for each in listed.auto_paging_iter())


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an object of Stripe's; what else it has doesn't matter."""

    id: str
    metadata: dict[str, str] | None = None

    def ours(self, name: str) -> UUID | None:
        """An id that we have put there; None where another program has made the object."""
        try:
            return UUID((self.metadata or {}).get(name, ""))
        except ValueError:
            return None


class Intent(Object, frozen=True, kw_only=True):
    status: str
    amount: int
    amount_received: int = 0
    currency: str


class Session(Object, frozen=True, kw_only=True):
    status: str | None = None
    payment_status: str
    payment_intent: str | Intent | None = None
    amount_total: int | None = None
    currency: str | None = None
    url: str | None = None


class Refund(Object, frozen=True, kw_only=True):
    status: str | None = None
    payment_intent: str | None = None
    amount: int
    currency: str
    failure_reason: str | None = None


class Refunds(msgspec.Struct, frozen=True):
    data: list[Refund]


class Charge(Object, frozen=True, kw_only=True):
    """Its refunds are there only before version 2022-11-15 of the API, which has events of their own for them."""

    refunds: Refunds | None = None


class Data(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    type: str
    data: Data


REFUND_OUTCOMES = {
    "succeeded": RefundOutcome.SETTLED,
    "failed": RefundOutcome.FAILED,
    "canceled": RefundOutcome.FAILED,
}
"""By the state of a refund; in any other it is pending."""


@contextmanager
def _discreet() -> Iterator[None]:
    """What Stripe says about a key quotes it."""
    try:
        yield
    except (stripe.AuthenticationError, stripe.PermissionError):
        raise KeyRefused from None


def _is_over(session: Session) -> bool:
    """Whether nothing can come of it any more."""
    intent = session.payment_intent
    failed = isinstance(intent, Intent) and intent.status in FAILED
    return session.status == "expired" or (session.status == "complete" and failed)


def _of_session(session: Session, *, failed: bool) -> list[Report]:
    intent = session.payment_intent if isinstance(session.payment_intent, str) else None
    payment_id = session.ours(PAYMENT_ID)
    if not (payment_id and intent and session.currency) or session.amount_total is None:
        return []
    amount = from_minor_units(session.amount_total, session.currency)
    came_of_it = Outcome.ACCEPTED if session.payment_status == "paid" else Outcome.PENDING
    return [_report(intent, Outcome.DECLINED if failed else came_of_it, payment_id, amount)]


def _of_intent(intent: Intent, *, session_complete: bool = False) -> list[Report]:
    payment_id = intent.ours(PAYMENT_ID)
    if not payment_id:
        return []
    if intent.status == "succeeded":
        amount = from_minor_units(intent.amount_received, intent.currency)
        return [_report(intent.id, Outcome.ACCEPTED, payment_id, amount)]
    amount = from_minor_units(intent.amount, intent.currency)
    if intent.status == "processing":
        return [_report(intent.id, Outcome.PENDING, payment_id, amount)]
    return [_report(intent.id, Outcome.DECLINED, payment_id, amount)] if session_complete else []


def _report(intent: str, outcome: Outcome, payment_id: UUID, amount: Money) -> Report:
    reason = "The payment was not carried out." if outcome is Outcome.DECLINED else ""
    return Report(
        id=f"{intent}/{outcome}",
        outcome=outcome,
        reference=intent,
        payment_id=payment_id,
        amount=amount,
        reason=reason,
    )


def _of_refund(refund: Refund) -> list[RefundReport]:
    if not refund.payment_intent:
        return []
    answer = _answer(refund)
    return [
        RefundReport(
            id=f"{refund.id}/{answer.outcome}",
            outcome=answer.outcome,
            reference=refund.id,
            payment_reference=refund.payment_intent,
            amount=from_minor_units(refund.amount, refund.currency),
            key=refund.ours(REFUND_KEY),
            reason=answer.reason,
        )
    ]


def _answer(refund: Refund) -> RefundAnswer:
    outcome = REFUND_OUTCOMES.get(refund.status or "", RefundOutcome.PENDING)
    return RefundAnswer(outcome=outcome, reference=refund.id, reason=refund.failure_reason or "")


T = TypeVar("T")


def _read(event: Event, shape: type[T]) -> T:
    return msgspec.json.decode(event.data.object, type=shape)


def _convert(answered: stripe.StripeObject, shape: type[T]) -> T:
    return msgspec.convert(answered.to_dict(), shape)
