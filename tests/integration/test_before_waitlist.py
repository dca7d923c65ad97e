"""A log that begins before there was a waitlist: who was refused then joins, and nothing is done once more."""

from collections import Counter
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from django.db import connection

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import CommandRecord, SubscriberRow
from eventstore.subscriptions.registry import registry
from eventstore.testing import only_handlers
from ordering.domain.conference_changes import CloseSales
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.domain.waitlist import AcceptOffer, WaitlistJoined, waitlist_id_of
from ordering.models import OrderSummary, WaitlistEntry
from projections.testing import assert_rebuild_equals_live
from sagas.models import Delivery
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NEW = {"waitlist", "waitlist-offer", "waitlist-entries"}
"""What the waitlist adds to the code, besides its mails."""


@contextmanager
def before_there_was_a_waitlist():
    """The code of that time sells: it knows nothing of a waitlist, and its mails have all been sent."""
    of_then = [each.name for each in registry if each.name not in NEW and not each.name.startswith("mail.waitlist")]
    with only_handlers(*of_then):
        yield
        bring_to_rest()
    SubscriberRow.objects.exclude(name__in=of_then).delete()
    registry.forget_rows()


def log():
    """A hash of each event as it is stored, every column of it, by position."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT position, row::text FROM eventstore_event AS row ORDER BY position")
        return {position: sha256(row.encode()).hexdigest() for position, row in cursor.fetchall()}


def mails():
    """How often each mail was sent, by what it is about."""
    return Counter(Delivery.objects.filter(status="done", effect__startswith="mail.").values_list("effect", "position"))


@contextmanager
def nothing_of_the_past_is_touched():
    """What was stored is byte for byte what it was, and no command and no mail of before is carried out again."""
    stored, sent, done = log(), mails(), set(CommandRecord.objects.values_list("pk", "first_position"))
    yield
    assert {position: log()[position] for position in stored} == stored
    assert done <= set(CommandRecord.objects.values_list("pk", "first_position"))
    assert {mail: mails()[mail] for mail in sent} == sent
    assert max(mails().values()) == 1


def waiting(conference):
    """Who waits, by customer."""
    entries = WaitlistEntry.objects.filter(conference_id=conference)
    return {entry.customer_id: entry.status for entry in entries}


def status(order):
    return OrderSummary.objects.get(pk=order).status


def test_a_waitlist_collects_those_who_were_refused_before_there_was_one():
    with before_there_was_a_waitlist():
        conference = shop.conference_on_sale(capacity=2)
        sold = shop.order(shop.customer("Grace"), conference, 2)
        ada, bob = shop.customer("Ada"), shop.customer("Bob")
        refused = [shop.order(customer, conference) for customer in (ada, bob)]
        over = shop.conference_on_sale(capacity=1)
        shop.order(shop.customer(), over)
        shop.order(shop.customer("Carol"), over)
        dispatch(CloseSales(conference_id=over, reason="The hall is too small."))
        shop.pay(sold, 2)
        # Bob has got his seat since: Grace gave hers back, he was quick, and somebody else took the other.
        dispatch(CancelOrder(order_id=sold))
        bring_to_rest()
        shop.pay(shop.order(bob, conference))
        taken = shop.order(shop.customer("Dora"), conference)
    assert [status(order) for order in refused] == ["refused", "refused"]
    assert waiting(conference) == {}

    with nothing_of_the_past_is_touched():
        # The new code is deployed. Its saga begins with the log, and is told what happened then.
        registry.make_rows()
        bring_to_rest()

    # Ada waits, once. Bob has what he wanted, and for Carol it is too late: both are left in peace.
    assert waiting(conference) == {ada: "waiting"}
    assert waiting(over) == {}
    (joined,) = store.read_stream(waitlist_id_of(conference))
    assert isinstance(joined.event, WaitlistJoined)
    assert joined.event.refused_order_id == refused[0]

    # From here on it is as if there had always been one: a seat becomes free, and is hers if she wants it.
    dispatch(ExpireOrder(order_id=taken))
    bring_to_rest()
    (entry,) = WaitlistEntry.objects.all()
    assert entry.status == "offered"
    dispatch(AcceptOffer(waitlist_id=waitlist_id_of(conference), entry_id=entry.pk))
    bring_to_rest()
    entry.refresh_from_db()
    assert entry.order_id
    shop.pay(entry.order_id)
    bring_to_rest()
    assert status(entry.order_id) == "confirmed"


def test_deploying_it_again_or_going_back_and_forth_collects_nobody_twice():
    with before_there_was_a_waitlist():
        conference = shop.conference_on_sale(capacity=1)
        shop.order(shop.customer(), conference)
        ada = shop.customer("Ada")
        shop.order(ada, conference)
    registry.make_rows()
    bring_to_rest()
    assert waiting(conference) == {ada: "waiting"}

    # Back: the code of before goes on selling, over a log that has events which it knows nothing of.
    of_then = [each.name for each in registry if each.name not in NEW and not each.name.startswith("mail.waitlist")]
    with only_handlers(*of_then), nothing_of_the_past_is_touched():
        bob = shop.customer("Bob")
        shop.order(bob, conference)
        bring_to_rest()
        assert waiting(conference) == {ada: "waiting"}

    # And forth: who was refused meanwhile joins behind who waits already.
    with nothing_of_the_past_is_touched():
        bring_to_rest()
    assert waiting(conference) == {ada: "waiting", bob: "waiting"}
    line: Any = WaitlistEntry.objects.in_line().order_by("joined")
    assert [(entry.customer_id, entry.ahead) for entry in line] == [(ada, 0), (bob, 1)]
    assert_rebuild_equals_live("waitlist-entries")
