"""A simulated sale adds up."""

from collections import Counter
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ordering.models import ConferenceSummary, OrderSummary
from sagas.models import Delivery, OutboxCommand

pytestmark = pytest.mark.usefixtures("clean")


def simulate(**options):
    out = StringIO()
    call_command("simulate", stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def test_every_order_ends_as_its_fate_says_and_seats_add_up():
    summary = simulate(orders=60, seed=7)
    assert "60 orders in" in summary
    statuses = Counter(OrderSummary.objects.values_list("status", flat=True))
    assert statuses.total() == 60
    assert {"confirmed", "expired", "refused"} <= set(statuses)
    conference = ConferenceSummary.objects.get()
    kept = Counter[str]()
    for order in OrderSummary.objects.filter(status__in=["confirmed", "awaiting_payment"]):
        for line in order.lines:
            kept[line["seat_type"]] += line["quantity"]
    for code, seats in conference.seat_types.items():
        assert seats["capacity"] - seats["available"] == kept[code]
    assert not OutboxCommand.objects.exclude(status="done").exists()
    paid = OrderSummary.objects.filter(received__gt=0).count()
    assert Delivery.objects.filter(effect="mail.order-confirmation").count() == paid


def test_the_same_seed_sells_the_same_way():
    simulate(orders=15, seed=3)
    first = Counter(OrderSummary.objects.values_list("status", flat=True))
    simulate(orders=15, seed=3)
    both = Counter(OrderSummary.objects.values_list("status", flat=True))
    assert both == Counter({status: 2 * count for status, count in first.items()})


def test_the_demo_leaves_a_conference_on_sale_and_is_played_once():
    simulate(demo=True)
    conferences = ConferenceSummary.objects.count()
    assert conferences == 3
    assert any(seats["available"] for each in ConferenceSummary.objects.all() for seats in each.seat_types.values())
    assert "nothing to fill" in simulate(demo=True)
    assert ConferenceSummary.objects.count() == conferences


@pytest.mark.parametrize(
    "wrong",
    [
        *({"orders": 0}, {"orders": "99999999999999999999"}, {"conference": "01890000-0000-7000-8000-0000000000ff"}),
        *({"rate": rate} for rate in (-1.0, 0, float("nan"), float("inf"), "nan", "inf", "-1", "0", "fast", "")),
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(CommandError):
        simulate(**wrong)
    assert not ConferenceSummary.objects.exists()
