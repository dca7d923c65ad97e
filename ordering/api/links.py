"""What one can call next with what was answered, by the names of the operations."""

from typing import Any


def _link(operation: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": parameters}


ORDER = {
    "order": _link("orders_retrieve", order_id="$response.body#/id"),
    "history": _link("orders_history_retrieve", order_id="$response.body#/id"),
    "cancel": _link("orders_cancel_create", order_id="$response.body#/id"),
    "pay": _link("orders_payments_create", order_id="$response.body#/id"),
    "conference": _link("conferences_retrieve", conference_id="$response.body#/conference_id"),
}
ENTRY = {
    "entry": _link("waitlist_retrieve", entry_id="$response.body#/id"),
    "leave": _link("waitlist_destroy", entry_id="$response.body#/id"),
}
LINKS: dict[str, dict[str, dict[str, Any]]] = {
    "customers_create": {
        "201": {
            "customer": _link("customers_retrieve", customer_id="$response.body#/id"),
            "change": _link("customers_partial_update", customer_id="$response.body#/id"),
        }
    },
    "orders_create": {"201": ORDER},
    "orders_retrieve": {"200": ORDER},
    "orders_payments_create": {
        "200": {"play": _link("sandbox_payments_create", payment_id="$response.body#/payment_id")}
    },
    "waitlist_create": {"201": ENTRY, "200": ENTRY},
    "webhook_endpoints_create": {
        "201": {
            "endpoint": _link("webhook_endpoints_retrieve", endpoint_id="$response.body#/id"),
            "test": _link("webhook_endpoints_test_create", endpoint_id="$response.body#/id"),
        }
    },
    "consumers_update": {"200": {"consumer": _link("consumers_retrieve", name="$response.body#/name")}},
}
