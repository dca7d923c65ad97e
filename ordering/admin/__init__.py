"""The admin of the business."""

from ordering.admin import (
    conference,
    customer,
    dashboard,
    demographics,
    finance,
    finders,
    journal,
    order,
    sales,
    staff,
    waitlist,
)

__all__ = [
    "conference",
    "customer",
    "dashboard",
    "demographics",
    "finance",
    "finders",
    "journal",
    "order",
    "sales",
    "staff",
    "waitlist",
]
