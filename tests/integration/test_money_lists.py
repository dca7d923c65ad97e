"""What waits for a person: money that nobody knows, excess, and refunds that failed."""

from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from eventstore.commands import dispatch
from eventstore.testing import NOON
from ordering.domain.errors import RefundClosed
from ordering.domain.finance import MarkRefundMade, RequestRefund, RetryRefund, ReturnEverything, account_id_of
from ordering.domain.order import CancelOrder
from ordering.domain.payment import AcceptPayment, AssignPayment, KeepUnmatched, unmatched_payment_id
from ordering.domain.values import Money, payment_id_of
from ordering.models import Excess, FailedRefund, UnmatchedMoney
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

PRICE = shop.PRICE.amount
LISTS = {UnmatchedMoney: "nobody knows", Excess: "more money than it costs", FailedRefund: "No refund has failed"}


@pytest.fixture
def order(settings):
    settings.PAYMENT_EXCESS = {"sandbox": "staff"}
    order = shop.order(shop.customer(), shop.conference_on_sale())
    bring_to_rest(deliver=False)
    shop.pay(order)
    bring_to_rest()
    return order


def back(owner: UUID, reference: str) -> RequestRefund:
    """Asks for one price of what came in under this reference."""
    account_id = account_id_of(owner)
    return RequestRefund(
        account_id=account_id, provider="sandbox", reference=reference, amount=shop.PRICE, reason="a test"
    )


def shown(client, model):
    client.force_login(User.objects.get_or_create(username="ada", is_staff=True, is_superuser=True)[0])
    name = f"admin:ordering_{model._meta.model_name}"
    text = client.get(reverse(f"{name}_changelist")).content.decode()
    for row in model.objects.exclude(amount=0):
        assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    return text


@pytest.mark.parametrize("model", LISTS)
def test_a_list_of_which_nothing_waits_explains_itself(client, order, model):
    assert not model.objects.exists()
    assert LISTS[model] in shown(client, model)


def test_money_that_nobody_knows_is_listed_until_it_is_assigned(client, order):
    unknown = unmatched_payment_id("bank", "tx-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="tx-9", amount=shop.PRICE))
    bring_to_rest()
    row = UnmatchedMoney.objects.get()
    assert (row.payment_id, row.provider, row.reference, row.amount) == (unknown, "bank", "tx-9", PRICE)
    assert "tx-9" in shown(client, UnmatchedMoney)
    dispatch(AssignPayment(payment_id=unknown, order_id=order))
    bring_to_rest()
    assert not UnmatchedMoney.objects.exists()


@pytest.mark.parametrize("asked", ["\0", "ada\0", "ada@example.org\0", "'", "9" * 3000])
def test_the_page_of_money_that_nobody_knows_is_shown_whatever_is_searched_for(client, asked):
    unknown = unmatched_payment_id("bank", "tx-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="tx-9", amount=shop.PRICE))
    bring_to_rest()
    client.force_login(User.objects.create_superuser("ada"))
    page = client.get(reverse("admin:ordering_unmatchedmoney_change", args=[unknown]), {"order": asked})
    assert (page.status_code, list(page.context["found"])) == (200, [])


def test_money_that_nobody_knows_is_listed_less_what_has_gone_back(order):
    unknown = unmatched_payment_id("sandbox", "tx-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="sandbox", reference="tx-9", amount=shop.PRICE * 2))
    for left in ([PRICE], []):
        dispatch(back(unknown, "tx-9"))
        bring_to_rest()
        assert [row.amount for row in UnmatchedMoney.objects.all()] == left


def test_what_was_paid_above_is_listed_until_it_is_on_its_way_back(client, order):
    shop.pay(order, reference="TWICE")
    bring_to_rest()
    row = Excess.objects.get()
    assert (row.order_id, row.amount) == (order, PRICE)
    assert "99.50 EUR" in shown(client, Excess)
    dispatch(back(order, "TWICE"))
    bring_to_rest(deliver=False)
    assert Excess.objects.get().amount == 0
    assert LISTS[Excess] in shown(client, Excess)
    bring_to_rest()
    assert not Excess.objects.exists()


def test_an_order_whose_money_goes_back_has_no_excess(order):
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert not Excess.objects.exists()


@pytest.mark.parametrize("command", [RetryRefund, MarkRefundMade])
def test_a_refund_that_failed_is_listed_until_somebody_sees_to_it(client, command):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="NOREFUND-1"))
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    row = FailedRefund.objects.get()
    assert (row.order_id, row.amount, row.reference) == (order, PRICE, "NOREFUND-1")
    assert isinstance(row.refund_id, UUID)
    assert row.failed_at < NOON
    assert "gives nothing back" in shown(client, FailedRefund)
    dispatch(command(account_id=account_id_of(order), refund_id=row.refund_id))
    bring_to_rest(deliver=False)
    assert not FailedRefund.objects.exists()


def test_a_refund_that_failed_is_listed_with_what_has_not_gone_back_otherwise(client):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="NOREFUND-1"))
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    first = FailedRefund.objects.get()
    part = msgspec.structs.replace(back(order, "NOREFUND-1"), amount=Money(Decimal("20.00"), "EUR"))
    dispatch(part)
    bring_to_rest(deliver=False)
    less = FailedRefund.objects.get()
    assert (less.pk, less.amount, less.failed_at) == (first.pk, PRICE - 20, first.failed_at)
    assert "79.50 EUR" in shown(client, FailedRefund)
    dispatch(msgspec.structs.replace(part, amount=Money(less.amount, "EUR")))
    bring_to_rest(deliver=False)
    assert not FailedRefund.objects.exists()
    bring_to_rest()
    assert sum(row.amount for row in FailedRefund.objects.exclude(pk=first.pk)) == PRICE
    with pytest.raises(RefundClosed):
        dispatch(RetryRefund(account_id=account_id_of(order), refund_id=first.pk))


@pytest.mark.parametrize("command", [RetryRefund, MarkRefundMade])
def test_money_that_failed_to_go_back_and_is_assigned_to_an_order_is_listed_no_more(client, order, command):
    unknown = unmatched_payment_id("sandbox", "NOREFUND-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="sandbox", reference="NOREFUND-9", amount=shop.PRICE))
    bring_to_rest()
    dispatch(ReturnEverything(account_id=account_id_of(unknown), reason="a test"))
    bring_to_rest()
    failed = FailedRefund.objects.get()
    assert (failed.order_id, failed.amount) == (None, PRICE)
    dispatch(AssignPayment(payment_id=unknown, order_id=order))
    bring_to_rest()
    assert not FailedRefund.objects.exists()
    assert LISTS[FailedRefund] in shown(client, FailedRefund)
    with pytest.raises(RefundClosed):
        dispatch(command(account_id=account_id_of(unknown), refund_id=failed.pk))
    assert Excess.objects.get().amount == PRICE
