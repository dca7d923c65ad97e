"""The read tables, a file a noun, and the accounts that customers log in with."""

from ordering.models.conference import ConferenceOnSale
from ordering.models.customer import CustomerAccount, CustomerProfile
from ordering.models.order import OrderSummary
from ordering.models.payment import SaleOfConference, SalesOfDay

__all__ = ["ConferenceOnSale", "CustomerAccount", "CustomerProfile", "OrderSummary", "SaleOfConference", "SalesOfDay"]
