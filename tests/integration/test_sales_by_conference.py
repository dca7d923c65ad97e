"""Payments know their order; the conference is looked up in what another projection made of that order's events."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from eventstore.commands import dispatch
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.operations.subscribers import Reshard
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import retry_keys
from eventstore.subscriptions.subscriber import Mode
from ordering.domain.payment import RefundPayment
from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSales, OrderSummary
from projections.rebuild import builder, generations
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NAME, USED = "sales-by-conference", "order-summaries"


def catch_up():
    rows = SubscriberRow.objects.filter(subscriber=NAME)
    feeding.catch_up([registry[row.name] for row in rows])


def sell(conference, *, seats=1):
    order = shop.order(shop.customer(), conference, seats)
    shop.pay(order, seats)
    return order


def refund(order):
    dispatch(RefundPayment(payment_id=payment_id_of(order), reason="asked for"))


def sums(conference):
    return [
        (each["currency"], each["payments"], each["total_received"], each["refunds"], each["total_refunded"])
        for each in ConferenceSales.objects.sums(conference)
    ]


def rows():
    return list(ConferenceSales.objects.order_by("pk").values())


def test_payments_and_refunds_are_summed_by_conference():
    first, second = shop.conference_on_sale(), shop.conference_on_sale()
    refund(sell(first))
    sell(first)
    sell(second, seats=2)
    catch_up()
    price = shop.PRICE.amount
    assert sums(first) == [("EUR", 2, 2 * price, 1, price)]
    assert sums(second) == [("EUR", 1, 2 * price, 0, 0)]


@pytest.mark.parametrize("shards", [1, 3])
def test_a_rebuild_looks_up_the_same_rows_split_or_not(shards):
    conferences = [shop.conference_on_sale() for _ in range(2)]
    for conference in conferences * 3:
        sell(conference)
    registry.make_rows()
    if shards > 1:
        Reshard(target=NAME, shards=shards).carry_out(by="test", reason="")
    catch_up()
    live = rows()
    assert {row["conference_id"] for row in live} == set(conferences)
    assert len(live) == 6
    assert builder.complete(generations.rebuild(NAME, parts=3)).status == "live"
    assert rows() == live
    verified = builder.complete(generations.verify(NAME))
    assert (verified.status, verified.differing, verified.compared) == ("verified", 0, 6)


def test_it_is_never_ahead_of_what_it_looks_up_nor_is_its_rebuild():
    conference = shop.conference_on_sale()
    sell(conference)
    catch_up()
    behind = SubscriberRow.objects.get(pk=USED).checkpoint
    SubscriberRow.objects.filter(pk=USED).update(status="paused")
    sell(conference)
    catch_up()
    assert SubscriberRow.objects.get(pk=NAME).checkpoint == behind
    assert builder.complete(generations.rebuild(NAME)).status == "live"
    assert SubscriberRow.objects.get(pk=NAME).checkpoint == behind
    SubscriberRow.objects.filter(pk=USED).update(status="running")
    feeding.catch_up(registry.of(Mode.SYNC))
    catch_up()
    assert not ParkedEvent.objects.exists()
    assert sums(conference) == [("EUR", 2, 2 * shop.PRICE.amount, 0, 0)]


def test_a_payment_waits_for_the_row_that_it_needs():
    conference = shop.conference_on_sale()
    order = sell(conference)
    summary = OrderSummary.objects.get(pk=order)
    OrderSummary.objects.filter(pk=order).delete()
    catch_up()
    parked = ParkedEvent.objects.get()
    assert (parked.subscriber, parked.key) == (NAME, str(payment_id_of(order)))
    assert "RowMissing" in parked.error
    summary.save(force_insert=True)
    assert retry_keys(NAME, [parked.key]).keys == 1
    assert sums(conference) == [("EUR", 1, shop.PRICE.amount, 0, 0)]


def test_a_rebuild_of_what_it_uses_makes_it_stale_until_it_is_rebuilt_too():
    sell(shop.conference_on_sale())
    catch_up()
    builder.complete(generations.rebuild(USED))
    assert SubscriberRow.objects.get(pk=NAME).stale == f"uses {USED}, which was rebuilt since"
    builder.complete(generations.rebuild(NAME))
    assert SubscriberRow.objects.get(pk=NAME).stale == ""


def test_staff_see_what_a_conference_sold(client):
    conference = shop.conference_on_sale()
    sell(conference)
    catch_up()
    client.force_login(User.objects.create_superuser("ada"))
    page = client.get(reverse("admin:ordering_conferencesummary_change", args=[conference]))
    assert "99.50 EUR received in 1 payments" in page.content.decode()
    listed = client.get(reverse("admin:ordering_conferencesales_changelist"))
    assert "99.50 EUR" in listed.content.decode()
