"""How events of earlier versions are read today, one small step a function."""

from typing import Any

from eventstore.codec import upcaster


@upcaster("customer.registered", 1)
def all_customers_were_greeted(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before customers were imported."""
    return {**data, "welcome": True}


@upcaster("conference.scheduled", 1)
def sales_close_at_the_start(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no end of sales: seats were sold until the conference began."""
    return {**data, "closes_at": data["starts_at"]}


@upcaster("conference.scheduled", 2)
def conferences_had_no_place(data: dict[str, Any]) -> dict[str, Any]:
    """Version 2 knew neither where a conference is nor in which time zone: its times were those of UTC."""
    return {**data, "time_zone": "UTC", "place": ""}


@upcaster("seats.limit-changed", 1)
def one_seat_was_enough(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew a most and no least."""
    return {**data, "min_per_order": 1}


@upcaster("seats.reserved", 1)
def seats_counted_for_nobody(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before the seats of a customer were counted."""
    return {**data, "customer_id": None}


@upcaster("seats.reserved", 2)
def no_seats_were_on_offer(data: dict[str, Any]) -> dict[str, Any]:
    """Version 2 is from before seats were offered to who waits for them: all were reserved for orders."""
    return {**data, "on_offer": False}


@upcaster("waitlist.left", 1)
def what_was_accepted_was_ordered(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before a waitlist knew of orders that could not be placed."""
    return data


@upcaster("order.placed", 1)
def orders_had_no_grace(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before conferences had payment terms: an order expired at its time."""
    return {**data, "grace": 0}


@upcaster("order.placed", 2)
def orders_named_no_provider(data: dict[str, Any]) -> dict[str, Any]:
    """Version 2 is from before conferences had payment providers: all orders were paid by that of the site."""
    return {**data, "provider": ""}


@upcaster("order.cancelled", 1)
def cancelling_cost_nothing(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before conferences had rules of cancellation."""
    return {**data, "fee": None}


@upcaster("order.status-mail-requested", 1)
def status_mails_were_not_counted(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before one had to wait between two of them."""
    return {**data, "requested_at": None}


@upcaster("refund.requested", 1)
def all_refunds_were_asked_for(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before refunds that are made at the provider were recorded."""
    return {**data, "made_there": False}


@upcaster("payment.accepted", 1)
def no_provider_is_told(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 is from before finance kept books."""
    return {**data, "provider": ""}
