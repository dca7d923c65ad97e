"""The admin of the business."""

from ordering.admin import conference, customer, dashboard, finance, journal, order, sales, staff

__all__ = ["conference", "customer", "dashboard", "finance", "journal", "order", "sales", "staff"]
