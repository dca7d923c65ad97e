from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q, Sum
from django.db.models.functions import TruncDate

from ordering.domain.finance import RefundReversed
from ordering.domain.values import Money
from projections.models import ReadModel


class FinanceAccount(ReadModel):
    """What the journal has to know of an account of finance: for which order it is, what that costs, when it was sold,
    what was kept of it, and which refunds failed.

    What changes is told by the positions of the events that changed it, so that whoever reads a later row still knows
    how things were at an earlier event.
    """

    sums_by = "currency"

    account_id = models.UUIDField(primary_key=True)
    order_id = models.UUIDField(null=True, blank=True)
    conference_id = models.UUIDField(null=True, blank=True)
    total = models.DecimalField(max_digits=22, decimal_places=4, default=0, help_text="what it cost when it was placed")
    prices = models.JSONField(
        default=list, db_default=[], help_text="position and amount: what the order costs since its seats were changed"
    )
    currency = models.CharField(max_length=3, blank=True, default="")
    sales = models.JSONField(default=list, help_text="positions at which the order was confirmed, cancelled and so on")
    fees = models.JSONField(
        default=list, help_text="position and amount: what was kept when the order was cancelled, none once reopened"
    )
    failures = models.JSONField(
        default=dict, help_text="by refund: positions at which it failed, was asked for again and so on"
    )

    class Meta:
        verbose_name = "account"
        ordering = ["account_id"]

    def __str__(self) -> str:
        return str(self.account_id)

    def price_before(self, position: int) -> Money:
        """What the order cost before the event at this position."""
        changed = [Decimal(amount) for at, amount in self.prices if at < position]
        return Money(changed[-1] if changed else self.total, self.currency)

    def is_sold(self, position: int) -> bool:
        """Whether the order was confirmed, and not cancelled, before the event at this position."""
        return _turns(self.sales, position) % 2 == 1

    def fee_before(self, position: int) -> Money:
        """What was kept of the order's money before the event at this position."""
        kept = [Decimal(amount) for at, amount in self.fees if at < position]
        return Money(kept[-1] if kept else Decimal(0), self.currency)

    def has_failed(self, refund_id: UUID, position: int) -> bool:
        """Whether a refund had failed, and was not asked for again, before the event at this position."""
        return _turns(self.failures.get(str(refund_id), ()), position) % 2 == 1


class Entries(models.QuerySet["JournalEntry"]):
    """Entries, and their sums. No sum reads another column than those of an index."""

    def before(self, moment: datetime) -> "Entries":
        return self.filter(recorded_at__lt=moment)

    def until_day(self, day: date, time_zone: str) -> "Entries":
        """Those of all days up to this one, which is a day of the zone."""
        return self.before(datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(time_zone)))

    def until_position(self, position: int) -> "Entries":
        """Those of all events up to this position of the log."""
        return self.filter(position__lte=position)

    def balances(self) -> models.QuerySet["JournalEntry", Any]:
        """By currency, account and provider: the sums of both sides, and the debits less the credits."""
        grouped = self.order_by("currency", "account", "provider").values("currency", "account", "provider")
        sums = grouped.annotate(debits=Sum("debit"), credits=Sum("credit"))
        return sums.annotate(balance=F("debits") - F("credits"))

    def days(self, conference_id: UUID, time_zone: str) -> models.QuerySet["JournalEntry", Any]:
        """By day of the zone and currency, the last day first: what came in and went back, what was earned, and what
        was kept. Money that nobody knew came in on the day on which it was assigned to an order of the conference. What
        had gone back and came back is less that went back.
        """
        account = JournalEntry.Account
        of_conference = self.filter(conference_id=conference_id)
        by_day = of_conference.annotate(day=TruncDate("recorded_at", tzinfo=ZoneInfo(time_zone)))
        held, moving, revenue, fees = (
            Q(account=each) for each in (account.PROVIDER, account.MOVING, account.REVENUE, account.FEES)
        )
        again = Q(event=RefundReversed.stored)
        assigned = Sum(F("debit") - F("credit"), filter=moving, default=0)
        return (
            by_day.order_by("-day", "currency")
            .values("day", "currency")
            .annotate(
                received=Sum("debit", filter=held & ~again, default=0) + assigned,
                returned=Sum("credit", filter=held, default=0) - Sum("debit", filter=held & again, default=0),
                earned=Sum(F("credit") - F("debit"), filter=revenue, default=0),
                fees=Sum(F("credit") - F("debit"), filter=fees, default=0),
            )
        )


class JournalEntry(ReadModel):
    """One side of what an event changed in the books: an account, and the amount that it is debited or credited.

    The entries of one event have the same position, and balance in their currency.
    """

    sums_by = "currency"

    class Account(models.TextChoices):
        PROVIDER = "provider", "held by providers"
        CUSTOMERS = "customers", "owed to customers"
        UNMATCHED = "unmatched", "unmatched"
        MOVING = "moving", "moving to an order"
        REFUNDS = "refunds", "refunds under way"
        REVENUE = "revenue", "revenue"
        FEES = "fees", "fees"

    number = models.BigIntegerField(
        primary_key=True, help_text="the position of the event, and one digit more that counts its entries"
    )
    position = models.BigIntegerField(help_text="of the event in the log")
    event = models.TextField()
    account = models.TextField(choices=Account)
    provider = models.TextField(blank=True, default="", help_text="who holds the money; empty for other accounts")
    order_id = models.UUIDField(null=True, blank=True)
    conference_id = models.UUIDField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    debit = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    credit = models.DecimalField(max_digits=22, decimal_places=4, default=0)
    recorded_at = models.DateTimeField()

    objects = models.Manager.from_queryset(Entries)()

    class Meta:
        verbose_name = "journal entry"
        verbose_name_plural = "journal"
        ordering = ["-number"]
        permissions = [("export_journal", "Can export the journal as CSV")]
        indexes = [
            models.Index(
                fields=["recorded_at"],
                include=["position", "currency", "account", "provider", "debit", "credit"],
                name="ordering_journal_time",
            ),
            models.Index(
                fields=["position"],
                include=["currency", "account", "provider", "debit", "credit"],
                name="ordering_journal_position",
            ),
            models.Index(fields=["conference_id", "-number"], name="ordering_journal_conference"),
            models.Index(fields=["order_id", "-number"], name="ordering_journal_order"),
            models.Index(fields=["account", "-number"], name="ordering_journal_account"),
            models.Index(fields=["currency", "-number"], name="ordering_journal_currency"),
        ]

    def __str__(self) -> str:
        return f"entry {self.number}"


def _turns(positions: Iterable[int], before: int) -> int:
    return sum(position < before for position in positions)
