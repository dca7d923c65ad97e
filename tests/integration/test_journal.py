"""The books as the database has them: what the balances are at any position and day, and by which indexes."""

from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering.domain.order import CancelOrder
from ordering.domain.payment import AssignPayment, KeepUnmatched, unmatched_payment_id
from ordering.models import JournalEntry
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

PRICE, NOTHING = shop.PRICE.amount, Decimal(0)
A = JournalEntry.Account


@pytest.fixture
def conference():
    """One order is paid twice, and the excess goes back; one is cancelled; and there is money that nobody knows."""
    conference = shop.conference_on_sale()
    kept, cancelled = (shop.order(shop.customer(), conference) for _ in range(2))
    bring_to_rest()
    for order in (kept, cancelled):
        shop.pay(order)
    shop.pay(kept, reference="TWICE")
    unknown = unmatched_payment_id("bank", "tx-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="tx-9", amount=shop.PRICE))
    bring_to_rest()
    dispatch(CancelOrder(order_id=cancelled))
    bring_to_rest()
    return conference


def balances(entries):
    """By account and provider, where there is any."""
    return {(row["account"], row["provider"]): row["balance"] for row in entries.balances() if row["balance"]}


def test_the_balances_are_what_was_earned_and_what_nobody_knows(conference):
    assert balances(JournalEntry.objects.all()) == {
        (A.PROVIDER, "sandbox"): PRICE,
        (A.PROVIDER, "bank"): PRICE,
        (A.REVENUE, ""): -PRICE,
        (A.UNMATCHED, ""): -PRICE,
    }


def test_the_balances_at_a_position_are_those_of_the_log_up_to_there(conference):
    cancelled = StoredEvent.objects.get(type="order.cancelled").position
    before, after = (balances(JournalEntry.objects.until_position(cancelled - back)) for back in (1, 0))
    assert (before[A.REVENUE, ""], after[A.REVENUE, ""]) == (-2 * PRICE, -PRICE)
    for position in range(store.head() + 1):
        assert sum(balances(JournalEntry.objects.until_position(position)).values()) == 0


def test_a_day_is_that_of_the_zone(conference):
    zone = "Pacific/Kiritimati"
    JournalEntry.objects.update(recorded_at=datetime(2030, 1, 2, 0, 30, tzinfo=ZoneInfo(zone)))
    assert balances(JournalEntry.objects.until_day(date(2030, 1, 1), "UTC"))
    assert not balances(JournalEntry.objects.until_day(date(2030, 1, 1), zone))
    assert balances(JournalEntry.objects.until_day(date(2030, 1, 2), zone))


def test_the_days_of_a_conference_say_what_came_in_went_back_and_was_earned(conference):
    moment = datetime(2030, 1, 1, 23, 30, tzinfo=ZoneInfo("UTC"))
    cancelled = StoredEvent.objects.get(type="order.cancelled").position
    JournalEntry.objects.update(recorded_at=moment)
    JournalEntry.objects.filter(position__gte=cancelled).update(recorded_at=moment + timedelta(days=1))

    def days(zone):
        names = ("received", "returned", "earned", "fees")
        found = JournalEntry.objects.days(conference, zone)
        return {row["day"].day: tuple(row[name] for name in names) for row in found}

    assert days("UTC") == {1: (3 * PRICE, PRICE, 2 * PRICE, 0), 2: (NOTHING, PRICE, -PRICE, 0)}
    assert days("Europe/Berlin").keys() == {2, 3}


def test_money_that_nobody_knew_comes_in_when_it_is_assigned():
    conference = shop.conference_on_sale()
    order, payment = shop.order(shop.customer(), conference), unmatched_payment_id("bank", "tx-9")
    dispatch(KeepUnmatched(payment_id=payment, provider="bank", reference="tx-9", amount=shop.PRICE))
    bring_to_rest()
    dispatch(AssignPayment(payment_id=payment, order_id=order))
    bring_to_rest()
    (day,) = JournalEntry.objects.days(conference, "UTC")
    assert (day["received"], day["earned"]) == (PRICE, PRICE)


def test_sums_and_lists_are_read_along_indexes(conference):
    last = JournalEntry.objects.latest("number")
    lengthen_the_books()
    until = JournalEntry.objects.until_day(last.recorded_at.date(), "UTC")
    at = JournalEntry.objects.until_position(last.position)
    for entries, index in ((until, "time"), (at, "position")):
        assert f"Index Only Scan using ordering_journal_{index}" in entries.balances().explain()
    newest = JournalEntry.objects.order_by("-number")
    for wanted in ({"account": "revenue"}, {"currency": "EUR"}, {"order_id": conference}):
        assert "Seq Scan" not in newest.filter(**wanted)[:26].explain()
    assert "ordering_journal_conference" in JournalEntry.objects.days(conference, "UTC").explain()


def lengthen_the_books():
    """By what others did later; the planner knows of it, for where it has to guess, one index is as good as another."""
    known = list(JournalEntry.objects.order_by("number"))
    JournalEntry.objects.bulk_create(
        JournalEntry(
            number=turn * 1_000_000 + entry.number,
            position=turn * 100_000 + entry.position,
            event=entry.event,
            account=entry.account,
            provider=entry.provider,
            order_id=new_id(),
            conference_id=new_id(),
            currency=entry.currency,
            debit=entry.debit,
            credit=entry.credit,
            recorded_at=entry.recorded_at + timedelta(days=turn),
            as_of=turn * 100_000 + entry.position,
        )
        for turn in range(1, 200)
        for entry in known
    )
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("VACUUM ANALYZE ordering_journalentry")
