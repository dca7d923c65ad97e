"""What every projection of the project has to satisfy, on a day of business; and what the kit for authors sees."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from eventstore import store
from eventstore.commands import dispatch
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.testing import NOON
from ordering.domain.customer import ChangeCustomer, CustomerRegistered, CustomerRenamed
from ordering.domain.finance import FailRefund, RefundRequested
from ordering.domain.order import CancelOrder
from ordering.domain.payment import KeepUnmatched, PaymentAccepted, PaymentRefunded, unmatched_payment_id
from ordering.domain.values import Money
from ordering.models import ConferenceSales, CustomerProfile, FinanceAccount, OrderSummary
from ordering.projections.customer import CustomerProfiles
from ordering.projections.payment import SalesByConference, SalesByDay
from ordering.registry import PROJECTIONS
from projections.errors import RowMissing
from projections.projection import Projection, on
from projections.testing import (
    assert_applied_twice_is_applied_once,
    assert_batches_do_not_matter,
    assert_rebuild_equals_live,
    project,
    recorded,
)
from tests.integration import shop

TEN = Money(Decimal(10), "EUR")
ADA, ORDER, PAYMENT, CONFERENCE = (UUID(int=number) for number in range(1, 5))
PAID = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=TEN, reference="R", provider="")
REGISTERED = CustomerRegistered(customer_id=ADA, name="Ada", email="ada@example.org")
RENAMED = CustomerRenamed(customer_id=ADA, name="Countess")


@pytest.fixture
def business(clean, settings):
    """Orders that were paid, twice even, cancelled and refunded or not, money that nobody knows, a customer who changed
    her name and told her birth date, and everybody fed.
    """
    settings.PAYMENT_EXCESS = {"sandbox": "staff"}
    conference, ada = shop.conference_on_sale(), shop.customer()
    dispatch(ChangeCustomer(customer_id=ada, name="Countess", birth_date=NOON.date()))
    orders = [shop.order(ada, conference) for _ in range(4)]
    for order in orders[:3]:
        shop.pay(order)
    for order in orders[2:]:
        dispatch(CancelOrder(order_id=order))
    shop.pay(orders[0], reference="TWICE")
    (refund,) = store.read(0, store.head(), [RefundRequested.stored], 10)
    assert isinstance(refund.event, RefundRequested)
    dispatch(FailRefund(account_id=refund.stream_id, refund_id=refund.event.refund_id, reason="no"))
    sold_out = shop.conference_on_sale(1)
    shop.order(ada, sold_out)
    shop.wait(shop.customer(), sold_out)
    unknown = unmatched_payment_id("bank", "R")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="R", amount=TEN))
    feeding.catch_up(list(registry))


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.name)
def test_a_rebuild_gives_the_live_rows(projection, business):
    assert projection.model.objects.exists()
    assert_rebuild_equals_live(projection.name)
    assert_rebuild_equals_live(projection.name)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.name)
def test_in_memory_the_same_rows_are_folded_as_in_the_database_in_whatever_batches(projection, business):
    log = store.read(0, store.head(), projection.types, 1_000)
    used = [*OrderSummary.objects.all(), *FinanceAccount.objects.all()] if projection.looks_up else []
    folded = project(type(projection), *log, looked_up=used)
    live = {row.pk: row for row in projection.model.objects.all()}
    fields = [field.attname for field in projection.model._meta.concrete_fields]
    assert folded.keys() == live.keys()
    for key, row in folded.items():
        assert [getattr(row, name) for name in fields] == [getattr(live[key], name) for name in fields]
    assert_batches_do_not_matter(type(projection), *log, looked_up=used)
    if projection.idempotent:
        assert_applied_twice_is_applied_once(type(projection), *log, looked_up=used)


def test_a_damaged_row_is_no_fresh_fold(business):
    CustomerProfile.objects.update(name="Somebody")
    with pytest.raises(AssertionError, match="differs"):
        assert_rebuild_equals_live("customer-profiles")


def test_rows_are_projected_from_bare_events():
    rows = project(CustomerProfiles, REGISTERED, RENAMED)
    assert (rows[ADA].name, rows[ADA].registered_at, rows[ADA].as_of) == ("Countess", NOON, 2)


def test_what_the_log_knows_can_be_said():
    late = recorded(PAID, position=2, recorded_at=NOON + timedelta(days=1))
    assert list(project(SalesByDay, PAID, late)) == ["2030-01-01 EUR", "2030-01-02 EUR"]


def test_rows_that_are_looked_up_are_given():
    with pytest.raises(RowMissing):
        project(SalesByConference, PAID)
    order = OrderSummary(order_id=ORDER, conference_id=CONFERENCE, currency="EUR")
    back = PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=TEN, reason="")
    row = project(SalesByConference, PAID, back, looked_up=[order])[PAYMENT]
    assert isinstance(row, ConferenceSales)
    assert (row.conference_id, row.received, row.refunded) == (CONFERENCE, TEN.amount, TEN.amount)


class Counting(Projection[CustomerProfile], name="counting"):
    """Not idempotent, and not indifferent to batches: it counts what it is called for."""

    model = CustomerProfile

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    @on(CustomerRegistered, key="customer_id")
    def registered(self, row, event, meta):
        row.version = vars(row).get("version", 0) + 1

    @on(CustomerRenamed, key="customer_id")
    def renamed(self, row, event, meta):
        self.calls += 1
        row.version = self.calls


def test_the_kit_sees_what_is_not_idempotent_and_what_depends_on_batches():
    with pytest.raises(AssertionError, match="moved back"):
        assert_applied_twice_is_applied_once(Counting, REGISTERED)
    with pytest.raises(AssertionError, match="cut after"):
        assert_batches_do_not_matter(Counting, REGISTERED, RENAMED)
    assert_applied_twice_is_applied_once(CustomerProfiles, REGISTERED, RENAMED)
