"""What is measured of those who follow the log, beside where they are."""

import pytest

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import ParkedEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Skip
from ordering.api import metrics
from ordering.domain.customer import ChangeCustomer
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NAME = "customer-profiles"
LAZY = "sales-by-day"


def test_what_was_skipped_is_measured_as_a_gap():
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
    perform(Pause(target=LAZY), by="ada")
    perform(Skip(target=LAZY, upto=store.head()), by="ada", reason="a test")
    measured = metrics.text().decode()
    assert f'boxoffice_subscriber_gap{{subscriber="{LAZY}",why="skipped"}} 2.0' in measured
    assert f'boxoffice_subscriber_gap{{subscriber="{LAZY}",why="pending"}} 0.0' in measured


def test_parked_events_are_measured_by_what_they_wait_for(poison):
    customer = shop.customer("Ada")
    for name in ("poison", "Grace"):
        dispatch(ChangeCustomer(customer_id=customer, name=name))
    ParkedEvent.objects.create(subscriber=f"{NAME}#7", key="k", position=1, error="KeyError")
    measured = metrics.text().decode()
    assert f'boxoffice_subscriber_parked{{subscriber="{NAME}",waits="attention"}} 1.0' in measured
    assert f'boxoffice_subscriber_parked{{subscriber="{NAME}",waits="behind"}} 1.0' in measured
    assert "#7" not in measured
