"""When is the confirmation sent? Once the order is really committed; never again on a replay; and only where the
program is meant to send it. (That it is sent once after a crash at any point is tested where workers are killed.)
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from eventstore import store
from eventstore.models import CommandRecord, StoredEvent
from eventstore.operations.base import perform
from eventstore.roles import owner_alias
from eventstore.subscriptions.registry import registry
from eventstore.testing import only_handlers
from ordering.models import OrderSummary
from projections.models import Generation
from projections.operations import Rebuild, Verify
from projections.projection import Projection
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.processes import eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")

CONFIRMATION = "mail.order-confirmation"

REFUSE = """
    CREATE FUNCTION refuse_confirmations() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.type = 'order.confirmed' THEN
            RAISE EXCEPTION 'The disk is full.' USING ERRCODE = 'disk_full';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER refuse_confirmations AFTER INSERT ON eventstore_event DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse_confirmations();"""
ALLOW = "DROP TRIGGER refuse_confirmations ON eventstore_event; DROP FUNCTION refuse_confirmations()"


@contextmanager
def commits_of_confirmations_fail() -> Iterator[None]:
    """Whoever has appended that an order is confirmed can't commit it."""
    with closing(raw.connect(owner_alias(), autocommit=True)) as owner:
        owner.execute(REFUSE)
        try:
            yield
        finally:
            owner.execute(ALLOW)


def confirmations(server):
    return [mail for mail in server.received if "confirmed" in str(mail["Subject"]).lower()]


def test_an_order_whose_confirmation_was_rolled_back_is_confirmed_to_nobody_until_it_is(settings):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    settings.EVENTSTORE_SETTLE_SECONDS = 0.5
    with mail_server() as (server, url), worker(beats=True, EMAIL_URL=url):
        with commits_of_confirmations_fail():
            shop.pay(order)
            eventually(lambda: Delivery.objects.filter(effect="mail.welcome", status="done").exists())
            assert not StoredEvent.objects.filter(type="order.confirmed").exists()
            assert not Delivery.objects.filter(effect=CONFIRMATION).exists()
            assert confirmations(server) == []
        eventually(lambda: confirmations(server))
        eventually(lambda: Delivery.objects.filter(effect=CONFIRMATION, status="done").exists())
    assert len(confirmations(server)) == 1
    assert StoredEvent.objects.filter(type="order.confirmed").count() == 1


def test_a_command_whose_commit_fails_leaves_nothing():
    before = store.head(), CommandRecord.objects.count()
    with closing(raw.connect(owner_alias(), autocommit=True)) as owner:
        owner.execute(REFUSE.replace("order.confirmed", "customer.registered"))
        try:
            with pytest.raises(psycopg.errors.DiskFull):
                shop.customer()
        finally:
            owner.execute(ALLOW)
    assert (StoredEvent.objects.count(), CommandRecord.objects.count()) == (0, before[1])
    assert not Delivery.objects.exists()


def test_it_is_not_sent_again_when_everything_is_rebuilt_and_verified():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    with mail_server() as (server, url), worker(beats=True, EMAIL_URL=url):
        shop.pay(order)
        eventually(lambda: len(server.received) == 3)
        eventually(lambda: not Delivery.objects.exclude(status="done").exists())
        before = list(Delivery.objects.order_by("pk").values())
        projections = [subscriber.name for subscriber in registry if isinstance(subscriber, Projection)]
        for name in projections:
            perform(Rebuild(target=name), by="ada")
        eventually(lambda: Generation.objects.filter(status="live").count() == len(projections), 60)
        for name in projections:
            perform(Verify(target=name), by="ada")
        eventually(lambda: Generation.objects.filter(status="verified").count() == len(projections), 60)
    assert len(server.received) == 3
    assert list(Delivery.objects.order_by("pk").values()) == before


def test_only_the_handlers_that_a_test_names_run():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    with only_handlers("order-summaries", "booking", "sale"):
        shop.pay(order)
        assert OrderSummary.objects.get(pk=order).status == "confirmed"
        assert not Delivery.objects.filter(effect=CONFIRMATION).exists()
