"""The admin of the business, and the look of the whole admin."""

from ordering.admin import conference, customer, front_page, look, order, sales, staff

__all__ = ["conference", "customer", "front_page", "order", "sales", "staff"]

look.dress()
