"""A row as it was: what the live one was at each position, whatever has happened since."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import DiscardedEvent, StoredEvent
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.customer import ChangeCustomer
from ordering.domain.order import CancelOrder
from ordering.models import OrderSummary
from projections.as_of import row_as_of
from projections.in_memory import columns
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

ORDERS, CUSTOMERS = "order-summaries", "customer-profiles"


def run(*arguments):
    out = StringIO()
    call_command("projections", "as-of", *map(str, arguments), stdout=out)
    return out.getvalue()


def row(*arguments):
    return json.loads(run(*arguments, "--json"))["row"]


def test_every_row_of_every_read_model_is_as_of_now_what_it_is():
    customer, conference = shop.customer(), shop.conference_on_sale()
    paid = shop.order(customer, conference)
    shop.pay(paid)
    shop.order(customer, conference)
    dispatch(CancelOrder(order_id=paid, reason="a trial"))
    bring_to_rest(deliver=False)
    head, compared = store.head(), 0
    for name in registry.names(Rank.PROJECTION):
        projection: Any = registry[name]
        for live in projection.model.objects.all():
            folded = row_as_of(projection, str(live.pk), head)
            assert folded is not None, (name, live.pk)
            assert columns(folded) == columns(live), (name, live.pk)
            compared += 1
    assert compared > len(registry.names(Rank.PROJECTION)) / 2


def test_a_row_is_shown_as_it_was_at_a_position_and_at_a_time():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    before = OrderSummary.objects.get(pk=order)
    last = StoredEvent.objects.latest("position")
    shop.pay(order)
    assert OrderSummary.objects.get(pk=order).status == "confirmed"
    for when in (("--position", last.position), ("--time", last.recorded_at.isoformat())):
        told = row(ORDERS, "--key", order, *when)
        assert (told["status"], told["as_of"]) == (before.status, before.as_of)
    shown = run(ORDERS, "--key", order, "--position", store.head())
    assert [line.split() for line in shown.splitlines() if line.startswith("status ")] == [["status", "confirmed"]]


def test_what_was_discarded_is_left_out():
    customer = shop.customer("Ada")
    dispatch(ChangeCustomer(customer_id=customer, name="Countess"))
    renamed = store.head()
    assert row(CUSTOMERS, "--key", customer, "--position", renamed)["name"] == "Countess"
    DiscardedEvent.objects.create(subscriber=CUSTOMERS, key=str(customer), position=renamed, reason="-", by="-")
    assert row(CUSTOMERS, "--key", customer, "--position", renamed)["name"] == "Ada"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody", "--key", "x", "--position", "1"], "No projection is declared as 'nobody'."),
        (["sale", "--key", "x", "--position", "1"], "it is one of the sagas"),
        ([CUSTOMERS, "--key", "x", "--position", "1"], "had no row 'x' at position 1."),
        ([CUSTOMERS, "--key", "x", "--position", "99"], "from 0 to 1, where the log ends"),
        ([CUSTOMERS, "--key", "x", "--position", "-1"], "from 0 to 1, where the log ends"),
        ([CUSTOMERS, "--key", "x", "--position", "first"], "'first' is not a whole number"),
        ([CUSTOMERS, "--key", "x", "--time", "2999-01-01"], "is yet to come"),
        ([CUSTOMERS, "--key", "x", "--time", "2001-01-01"], "had no row 'x' at position 0."),
    ],
)
def test_what_was_not_there_is_refused(arguments, told):
    shop.customer()
    with pytest.raises(CommandError, match=told):
        run(*arguments)
