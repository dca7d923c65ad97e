"""Until when an order is to be paid, and what it costs to cancel one."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from ordering.domain.errors import InvalidCancellationRule, InvalidPaymentTerms, MixedCurrencies, TooManyDecimals
from ordering.domain.terms import CancellableUntil, CancellationRule, PaymentTerms, Unit
from ordering.domain.values import Money

from .samples import euros

BERLIN, CAIRO, KIRITIMATI = "Europe/Berlin", "Africa/Cairo", "Pacific/Kiritimati"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_minutes_and_hours_pass_as_on_a_clock_that_is_never_changed() -> None:
    before_the_change = at("2030-03-31T01:30+01:00")
    assert PaymentTerms().deadline(before_the_change, BERLIN) == before_the_change + timedelta(minutes=15)
    one_hour = PaymentTerms(1, Unit.HOURS)
    assert one_hour.deadline(before_the_change, BERLIN) == at("2030-03-31T03:30+02:00")


@pytest.mark.parametrize(
    ("ordered", "days", "zone", "until"),
    [
        ("2030-01-07T09:00+01:00", 14, BERLIN, "2030-01-21T23:59:59+01:00"),
        ("2030-03-30T23:30+01:00", 1, BERLIN, "2030-03-31T23:59:59+02:00"),
        ("2030-10-26T12:00+02:00", 1, BERLIN, "2030-10-27T23:59:59+01:00"),
        ("2030-01-07T23:30+00:00", 1, BERLIN, "2030-01-09T23:59:59+01:00"),
        ("2030-10-30T12:00+03:00", 1, CAIRO, "2030-10-31T23:59:59+02:00"),
        ("2030-01-07T12:00+00:00", 1, KIRITIMATI, "2030-01-09T23:59:59+14:00"),
    ],
    ids=[
        "a Monday two weeks later",
        "the Sunday of 23 hours",
        "the Sunday of 25 hours",
        "Tuesday has begun in Berlin",
        "the Thursday whose last hour comes twice",
        "Tuesday has begun in Kiritimati",
    ],
)
def test_days_end_with_the_last_second_of_the_day_there(ordered: str, days: int, zone: str, until: str) -> None:
    assert PaymentTerms(days, Unit.DAYS).deadline(at(ordered), zone) == at(until)


def test_no_order_is_to_be_paid_after_the_last_day() -> None:
    terms = PaymentTerms(14, Unit.DAYS, last_day=date(2030, 3, 31))
    assert terms.deadline(at("2030-03-01T12:00+01:00"), BERLIN) == at("2030-03-15T23:59:59+01:00")
    assert terms.deadline(at("2030-03-20T12:00+01:00"), BERLIN) == at("2030-03-31T23:59:59+02:00")


@pytest.mark.parametrize(
    "terms",
    [
        PaymentTerms(0),
        PaymentTerms(-1, Unit.DAYS),
        PaymentTerms(367, Unit.DAYS),
        PaymentTerms(24 * 367, Unit.HOURS),
        PaymentTerms(grace=-1),
        PaymentTerms(grace=10**9),
    ],
)
def test_terms_that_nobody_can_mean_are_refused(terms: PaymentTerms) -> None:
    with pytest.raises(InvalidPaymentTerms):
        terms.check()


def test_terms_may_be_a_year() -> None:
    PaymentTerms(366, Unit.DAYS, grace=366 * 24 * 60).check()


def test_a_share_is_rounded_half_a_unit_up() -> None:
    rule = CancellationRule(percent=5)
    assert rule.fee(euros("99.50"), 1, euros("99.50")) == euros("4.98")
    yen = Money(Decimal(150), "JPY")
    assert rule.fee(yen, 1, yen) == Money(Decimal(8), "JPY")


@pytest.mark.parametrize(
    "rule",
    [
        CancellationRule(hours=-1),
        CancellationRule(hours=24 * 367),
        CancellationRule(percent=-1),
        CancellationRule(percent=101),
        CancellationRule(fixed=euros("-0.01")),
        CancellationRule(per_seat=euros("-0.01")),
        CancellationRule(until=CancellableUntil.MOMENT),
        CancellationRule(moment=at("2030-01-01T12:00+00:00")),
    ],
)
def test_a_rule_of_cancellation_that_nobody_can_mean_is_refused(rule: CancellationRule) -> None:
    with pytest.raises(InvalidCancellationRule):
        rule.check("EUR")


def test_a_fee_is_one_that_can_be_paid_in_the_currency_of_the_conference() -> None:
    with pytest.raises(MixedCurrencies):
        CancellationRule(fixed=euros("5.00")).check("CHF")
    with pytest.raises(TooManyDecimals):
        CancellationRule(per_seat=euros("0.005")).check("EUR")
