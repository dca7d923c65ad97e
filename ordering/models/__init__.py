"""The read tables, a file a noun, and the accounts that customers log in with."""

from ordering.models.conference import ConferenceSummary
from ordering.models.customer import CustomerAccount, CustomerProfile
from ordering.models.demographics import BirthYear
from ordering.models.finance import Excess, FailedRefund, UnmatchedMoney
from ordering.models.idempotency import KeyedCall
from ordering.models.inquiry import Inquiry
from ordering.models.journal import FinanceAccount, JournalEntry
from ordering.models.order import OrderSummary
from ordering.models.payment import ConferenceSales, DailySales
from ordering.models.statement import StatementFile
from ordering.models.token import MachineToken, TokenUse
from ordering.models.waitlist import WaitlistEntry

__all__ = [
    "BirthYear",
    "ConferenceSales",
    "ConferenceSummary",
    "CustomerAccount",
    "CustomerProfile",
    "DailySales",
    "Excess",
    "FailedRefund",
    "FinanceAccount",
    "Inquiry",
    "JournalEntry",
    "KeyedCall",
    "MachineToken",
    "OrderSummary",
    "StatementFile",
    "TokenUse",
    "UnmatchedMoney",
    "WaitlistEntry",
]
