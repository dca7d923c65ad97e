"""How events of earlier versions are read today, one small step a function."""

from typing import Any

from eventstore.codec import upcaster


@upcaster("conference.scheduled", 1)
def sales_close_at_the_start(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no end of sales: seats were sold until the conference began."""
    return {**data, "closes_at": data["starts_at"]}
