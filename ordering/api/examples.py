"""Examples of bodies, by the names of their shapes in the contract: one sale, from registering to its refund."""

from typing import Any

CUSTOMER = "0197f3a2-6c1e-7d44-9b0a-3f5e1c2d4a61"
CONFERENCE = "0197f3a2-7b90-7c15-8e21-5a9d0b7c3f12"
ORDER = "0197f3a3-0d52-7e8b-a4c6-91b7e3f2085d"
PAYMENT = "6f1d1a52-2f0c-5e0b-9a6d-1c9c7d0e4b3a"
REFUND = "4be0b9f4-93b0-5d8a-b7d5-0d2f6a1c8e97"
ENTRY = "0197f3a4-51c3-7a02-8d1f-7e60c4b9a3d8"
EPOCH = "0197f3a0-1111-7222-8333-444455556666"
AT = "2026-11-30T10:00:00Z"


def _euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


LINES = [{"seat_type": "standard", "quantity": 2}]
PRICED = [{**LINES[0], "unit_price": _euros("199.00")}]
ADDRESS = {"street": "12 St James Square", "postal_code": "SW1Y 4JH", "city": "London", "country": "GB"}
KNOWN = {
    "id": CUSTOMER,
    "name": "Ada King",
    "email": "ada@example.com",
    "email_confirmed": True,
    "birth_date": "1815-12-10",
    "address": ADDRESS,
    "registered_at": AT,
}
PAGE = f"http://localhost:8000/sandbox/payments/{PAYMENT}"
HOW = {"provider": "sandbox", "pay_url": PAGE, "reference": "", "text": ""}
NEWEST = {
    "id": PAYMENT,
    "status": "requested",
    "amount": _euros("398.00"),
    "pay_url": PAGE,
    "how_to_pay": HOW,
}
PLACED = {
    "id": ORDER,
    "number": "7K3M-Q2ZD",
    "customer_id": CUSTOMER,
    "conference_id": CONFERENCE,
    "status": "awaiting_payment",
    "lines": PRICED,
    "total": _euros("398.00"),
    "placed_at": AT,
    "expires_at": "2026-11-30T10:15:00Z",
    "change": None,
    "cancellation": {"until": None, "fee": _euros("0.00"), "to_be_returned": _euros("0.00")},
    "fee": _euros("0.00"),
    "balance": {"received": _euros("0.00"), "returned": _euros("0.00"), "due": _euros("398.00")},
    "payments": [{**NEWEST, "received_at": None, "reference": "", "refunds": []}],
    "payment": NEWEST,
}
PAID = {**NEWEST, "status": "accepted", "pay_url": None, "how_to_pay": None}
CANCELLED = {
    **PLACED,
    "status": "cancelled",
    "cancellation": None,
    "fee": _euros("20.00"),
    "balance": {"received": _euros("398.00"), "returned": _euros("0.00"), "due": _euros("0.00")},
    "payments": [
        {
            **PAID,
            "received_at": AT,
            "reference": "SANDBOX-4A61C2D13F5E",
            "refunds": [{"id": REFUND, "amount": _euros("378.00"), "status": "requested"}],
        }
    ],
    "payment": PAID,
    "to_be_returned": _euros("378.00"),
}
ON_SALE = {
    "id": CONFERENCE,
    "name": "EventCon 2027",
    "status": "scheduled",
    "starts_at": "2027-05-20T07:00:00Z",
    "time_zone": "Europe/Berlin",
    "place": "Berlin",
    "sales": {"opens_at": AT, "closes_at": "2027-05-20T07:00:00Z"},
    "payment_terms": {"within": 15, "unit": "minutes", "last_day": None},
    "cancellation": {
        "until": "start",
        "hours": 48,
        "moment": None,
        "fixed": None,
        "percent": 0,
        "per_seat": _euros("10.00"),
    },
    "providers": ["sandbox"],
    "max_per_customer": 10,
    "seat_types": [
        {
            "code": "standard",
            "name": "Standard",
            "price": _euros("199.00"),
            "capacity": 200,
            "available": 198,
            "max_per_order": 10,
            "min_per_order": 1,
        }
    ],
}
WAITS = {
    "id": ENTRY,
    "conference_id": CONFERENCE,
    "customer_id": CUSTOMER,
    "lines": LINES,
    "status": "waiting",
    "ahead": 3,
    "joined_at": AT,
    "refused_order_id": None,
    "offered_until": None,
    "order_id": None,
    "reason": "",
    "ended_at": None,
}
ENDPOINT = "0197f3a6-2b7d-7c11-9e40-6d2a8f0c5b17"
TOLD_AT = {
    "url": "https://crm.example.com/boxoffice",
    "types": ["order.cancelled", "order.confirmed"],
    "description": "CRM",
    "owner": "crm@example.com",
    "enabled": True,
}
HOOK = {
    "id": ENDPOINT,
    **TOLD_AT,
    "switched_off_at": None,
    "switched_off_for": "",
    "failing_since": None,
    "created_at": AT,
}
SIGNED_BY = {**HOOK, "secret": "whsec_0Xb4m8v1QkzR7yP2nL5tWc9eHs3dJgUaF6iT"}
SENT = {
    "id": 17,
    "type": "order.cancelled",
    "position": 841,
    "stream_id": ORDER,
    "status": "done",
    "created_at": AT,
    "due_at": AT,
    "finished_at": AT,
    "attempts": [{"at": AT, "seconds": 0.12, "code": 204, "error": "", "answer": ""}],
}
KNOWN_TOKEN = {
    "id": "4f6d0c1b-9e8a-7d6c-5b4a-39281706f5e4",
    "created_at": AT,
    "expires_at": "2026-12-01T10:00:00Z",
    "last_used_at": AT,
    "name": "CRM",
    "scopes": ["orders:read"],
    "current": True,
}
LEFT = {"type": "order.cancelled", "data": {"order_id": ORDER, "reason": "ill", "fee": _euros("20.00")}}
RECORDED = {
    "position": 841,
    "next": 841,
    "event_id": "0197f3a5-0000-7000-8000-000000000001",
    "stream_id": ORDER,
    "category": "order",
    "version": 4,
    "schema_version": 1,
    "recorded_at": AT,
    "actor": f"customer:{CUSTOMER}",
    "correlation_id": "0197f3a5-0000-7000-8000-000000000002",
    "causation_id": None,
    "metadata": {},
    **LEFT,
}
TOLD = {"name": "crm", "position": 800, "horizon": 841, "behind": 41, "reported_at": AT}
FOLLOWS = {**TOLD, "by": "user:7", "epoch": EPOCH, "errors": [], "moved_at": AT}

EXAMPLES: dict[str, Any] = {
    "CredentialsRequest": {"email": "ada@example.com", "password": "correct-horse-battery"},
    "RegisterRequest": {
        "id": CUSTOMER,
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "password": "correct-horse-battery",
        "birth_date": "1815-12-10",
    },
    "PatchedChangeRequest": {"name": "Ada King", "address": ADDRESS},
    "PlaceRequest": {"id": ORDER, "customer_id": CUSTOMER, "conference_id": CONFERENCE, "lines": LINES},
    "PayRequest": {"provider": "sandbox"},
    "QuantitiesRequest": {"lines": [{"seat_type": "standard", "quantity": 3}], "reason": "A colleague comes too."},
    "CancelRequest": {"reason": "ill"},
    "JoinRequest": {"conference_id": CONFERENCE, "lines": LINES},
    "OutcomeRequest": {"outcome": "accepted"},
    "NoticeRequest": {
        "id": "report-1",
        "outcome": "accepted",
        "payment_id": PAYMENT,
        "amount": _euros("398.00"),
        "reference": "SANDBOX-4A61C2D13F5E",
    },
    "NewEndpointRequest": TOLD_AT,
    "PatchedEndpointChangesRequest": {"enabled": False},
    "ResetRequest": {"email": "ada@example.com"},
    "NewPasswordRequest": {"token": "1yXk0aQ9.1vT2fA.9bC3dE4fG5hI6jK7lM8nO9pQ", "password": "correct-horse-battery"},
    "ConfirmationRequest": {"token": "1yXk0aQ9.1vT2fA.9bC3dE4fG5hI6jK7lM8nO9pQ"},
    "ReportRequest": {"position": 800, "epoch": EPOCH, "errors": []},
    "Token": {"token": "4f6d0c1b9e8a7d6c5b4a39281706f5e4d3c2b1a0", "expires_at": "2026-12-01T10:00:00Z"},
    "KnownToken": KNOWN_TOKEN,
    "TokenList": {"results": [KNOWN_TOKEN]},
    "Customer": KNOWN,
    "Changed": {**KNOWN, "recorded": ["customer.renamed", "customer.address-changed"]},
    "Conference": ON_SALE,
    "ConferencePage": {"results": [ON_SALE], "next": None},
    "Order": PLACED,
    "OrderPage": {"results": [PLACED], "next": "http://localhost:8000/api/v1/orders?cursor=WyIyMDI2IiwiMSJd"},
    "Cancelled": CANCELLED,
    "Started": {**HOW, "payment_id": PAYMENT, "amount": _euros("398.00")},
    "History": {
        "results": [{"position": 841, "version": 4, "recorded_at": AT, "actor": f"customer:{CUSTOMER}", **LEFT}],
        "next": None,
    },
    "Entry": WAITS,
    "EntryPage": {"results": [WAITS], "next": None},
    "Received": {"id": "report-1", "payment_id": PAYMENT, "position": 839},
    "FeedEvent": RECORDED,
    "Feed": {"epoch": EPOCH, "events": [RECORDED], "next": 841, "horizon": 841},
    "Endpoint": HOOK,
    "EndpointWithSecret": SIGNED_BY,
    "EndpointPage": {"results": [HOOK], "next": None},
    "WebhookDelivery": SENT,
    "WebhookDeliveryPage": {"results": [SENT], "next": None},
    "TestAnswer": {"seconds": 0.12, "code": 204, "error": "", "answer": ""},
    "Reported": TOLD,
    "Consumer": FOLLOWS,
    "ConsumerPage": {"results": [FOLLOWS], "next": None},
    "Pending": {"status": "pending", "position": 840, "read_model_position": 812},
    "WouldRecord": {"would_record": [LEFT]},
    "WouldPlace": {"would_record": [], "would_be_refused": None},
    "WouldCancel": {"would_record": [LEFT], "fee": _euros("20.00"), "to_be_returned": _euros("378.00")},
}
