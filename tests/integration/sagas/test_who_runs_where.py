"""A process runs the handlers that it is told to, and no others; those go on later, where they stood."""

import os
import time

import pytest
from django.core import mail

from eventstore import store
from eventstore.commands import dispatch
from eventstore.errors import UnknownSubscriber
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.testing import only_handlers
from ordering.domain.order import RequestStatusMail
from ordering.models import CustomerProfile, OrderSummary
from sagas.models import Delivery, OutboxCommand
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.processes import eventually, mail_server, worker

WELCOME = "Welcome to Boxoffice"

pytestmark = pytest.mark.usefixtures("clean")


def checkpoints():
    return dict(SubscriberRow.objects.values_list("name", "checkpoint"))


def types():
    return list(StoredEvent.objects.order_by("position").values_list("type", flat=True))


@pytest.fixture
def conference():
    return shop.conference_on_sale()


def test_only_the_named_are_fed_and_nobody_else_sends_or_acts(conference):
    before = checkpoints()
    with only_handlers("order-summaries"):
        receipt = shop.place(shop.customer(), conference)
        bring_to_rest()
    assert receipt.settled
    assert OrderSummary.objects.get().status == "placed"
    others = {name: checkpoint for name, checkpoint in checkpoints().items() if name != "order-summaries"}
    assert others == {name: checkpoint for name, checkpoint in before.items() if name != "order-summaries"}
    assert types()[-1] == "order.placed"
    assert not CustomerProfile.objects.exists()
    assert not OutboxCommand.objects.exists()
    assert not Delivery.objects.exists()
    assert not mail.outbox


def test_afterwards_the_others_catch_up(conference):
    with only_handlers("order-summaries"):
        shop.place(shop.customer(), conference)
    bring_to_rest()
    assert OrderSummary.objects.get().status == "awaiting_payment"
    assert set(checkpoints().values()) == {store.head()}
    subjects = [each.subject for each in mail.outbox]
    assert subjects == [WELCOME, f"Your order {OrderSummary.objects.get().number}: 99.50 EUR to pay"]


def test_with_nobody_named_nobody_follows_the_log(conference):
    before = checkpoints()
    with only_handlers():
        assert shop.place(shop.customer(), conference).settled
        bring_to_rest()
    assert checkpoints() == before


def test_a_saga_is_fed_alone_and_its_commands_are_sent_where_it_runs(conference):
    with only_handlers("sale"):
        shop.place(shop.customer(), conference)
    assert types()[-3:] == ["order.placed", "seats.reserved", "payment.requested"]
    assert not OrderSummary.objects.exists()


def test_what_a_saga_decided_is_sent_by_those_alone_who_run_it(conference):
    shop.order(shop.customer(), conference)
    OutboxCommand.objects.update(status="pending")
    with only_handlers("order-summaries", "mail.welcome"):
        bring_to_rest()
        assert set(OutboxCommand.objects.values_list("status", flat=True)) == {"pending"}
    bring_to_rest()
    assert set(OutboxCommand.objects.values_list("status", flat=True)) == {"done"}


def test_an_effect_is_carried_out_by_those_alone_who_run_it(conference):
    shop.pay(shop.order(shop.customer(), conference))
    with only_handlers("mail.order-confirmation"):
        bring_to_rest()
    assert dict(Delivery.objects.values_list("effect", "status")) == {
        "mail.welcome": "pending",
        "mail.payment-requested": "pending",
        "mail.order-confirmation": "done",
    }
    assert len(mail.outbox) == 1


def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(UnknownSubscriber), only_handlers("order-summaries", "orders"):
        pass


def test_a_worker_runs_what_its_environment_says(conference):
    with only_handlers():
        dispatch(RequestStatusMail(order_id=shop.order(shop.customer(), conference)))
        shop.customer()
    before = checkpoints()
    named = {"customer-profiles", "mail.welcome"}
    with mail_server() as (server, url), worker(EMAIL_URL=url, ONLY_SUBSCRIBERS=",".join(named)):
        eventually(lambda: Delivery.objects.filter(status="done").count() == 2)
        eventually(lambda: {checkpoints()[name] for name in named} == {store.head()})
        time.sleep(1.5)  # for as long as it takes a worker to look at everybody once
        assert {mail["Subject"] for mail in server.received} == {WELCOME}
    after = checkpoints()
    assert {name: after[name] for name in after.keys() - named} == {name: before[name] for name in after.keys() - named}
    assert types()[-1] == "mail.sent"
    assert os.getpid() not in {
        int(owner.rpartition(":")[2]) for owner in Delivery.objects.values_list("owner", flat=True)
    }
