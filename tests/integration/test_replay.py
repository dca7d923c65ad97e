"""Rebuilding is reading: whatever is folded anew, nothing is sent, recorded or done because of it."""

import time

import pytest

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import CommandRecord, SubscriberRow
from eventstore.operations.base import perform
from eventstore.testing.subscribers import rows
from ordering.domain.order import CancelOrder, ExpireOrder, RequestStatusMail
from ordering.registry import PROJECTIONS
from projections.models import Generation
from projections.operations import Rebuild, Verify
from sagas.models import Delivery, Instance, OutboxCommand, Timer, Transition
from tests.integration import shop
from tests.integration.processes import clock, eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")


def sell():
    """Orders that ended in every way there is, and one that waits to be paid."""
    conference, ada = shop.conference_on_sale(), shop.customer()
    paid, cancelled, expired, _ = [shop.order(ada, conference) for _ in range(4)]
    for order in (paid, cancelled):
        shop.pay(order)
    dispatch(CancelOrder(order_id=cancelled))
    dispatch(ExpireOrder(order_id=expired))
    dispatch(RequestStatusMail(order_id=paid))


def everything_is_done():
    behind = SubscriberRow.objects.filter(checkpoint__lt=store.head()).exists()
    unsent = OutboxCommand.objects.filter(status="pending").exists()
    return not behind and not unsent and Delivery.objects.filter(status="done").count() == 13


def happened():
    acted = (CommandRecord, OutboxCommand, Timer, Delivery, Instance, Transition)
    return store.head(), rows(*(model._default_manager.all() for model in acted))


def test_with_everybody_at_work_rebuilding_and_verifying_all_sends_nothing_and_records_nothing():
    with mail_server() as (server, url), worker(EMAIL_URL=url), clock(EMAIL_URL=url):
        sell()
        eventually(everything_is_done)
        before, sent = happened(), len(server.received)
        for operation, ends in ((Rebuild, "live"), (Verify, "verified")):
            for projection in PROJECTIONS:
                perform(operation(target=projection.name), by="test")
            ended = Generation.objects.filter(status=ends)
            eventually(lambda: ended.count() == len(PROJECTIONS), 60)  # noqa: B023 - asked at once
        assert not Generation.objects.filter(differing__gt=0).exists()
        time.sleep(2.5)  # for the clock to look at everything twice
    assert happened() == before
    assert len(server.received) == sent == 12
    assert Timer.objects.filter(status="waiting").count() == 1
