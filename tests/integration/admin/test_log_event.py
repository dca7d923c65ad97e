"""The page of an event: what it says, where it is, what caused it and what it caused."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from eventstore import store
from eventstore.browsing import chain as chains
from eventstore.browsing.chain import Consequence, around, chain
from eventstore.context import acting, new_id
from eventstore.models import DiscardedEvent, HandlerWarning, ParkedEvent, SkippedRange, StoredEvent, SubscriberRow
from eventstore.store import Changes
from eventstore.subscriptions.registry import registry
from ordering.domain.order import OrderConfirmed
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import event, text

pytestmark = pytest.mark.usefixtures("clean")

SEE = "eventstore.view_storedevent"
CONSEQUENCES = (
    "sagas.view_instance",
    "sagas.view_outboxcommand",
    "sagas.view_delivery",
    "ordering.view_ordersummary",
)


@pytest.fixture
def order():
    """One that is paid, with all that followed."""
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    bring_to_rest()
    return order


def of(type_, **which):
    return StoredEvent.objects.get(type=type_, **which)


def lines(page):
    return [(line.depth, line.kind, line.text) for line in page.context["lines"]]


def words(page):
    return [line.text for line in page.context["lines"]]


def test_an_event_tells_what_it_says_and_where_it_is(client, staff, order):
    staff(SEE)
    placed = of("order.placed")
    page = client.get(event(placed.position))
    for each in (placed.stream_id, placed.event_id, placed.correlation_id, placed.causation_id, "version 1"):
        assert str(each) in text(page), each
    assert "/admin/eventstore/storedevent/types/order.placed/" in text(page)
    assert f"?correlation_id={placed.correlation_id}" in text(page)
    assert "Everything in this chain" in text(page)
    assert client.get(event(10_000)).status_code == client.get(event("x")).status_code == 404


def test_from_a_payment_to_all_that_followed(client, staff, order):
    staff(SEE, *CONSEQUENCES)
    page = client.get(event(of("payment.accepted").position))
    told = lines(page)
    assert told[0][:2] == (0, "command")
    assert told[1] == (1, "event", "payment.accepted")
    for each in ("order.credit-payment by saga sale", "order.payment-credited", "order.confirmed", "seats.sold"):
        assert each in words(page), words(page)
    assert any(each.startswith("effect mail.order-confirmation") for each in words(page))
    assert any(each.startswith(f"saga sale {order}") for each in words(page))
    here = [line for line in page.context["lines"] if line.here]
    assert [line.text for line in here] == ["payment.accepted"]


def test_from_a_mail_back_to_what_caused_it(client, staff, order):
    staff(SEE, *CONSEQUENCES)
    confirmed = of("order.confirmed")
    sent = StoredEvent.objects.get(type="mail.sent", causation_id=confirmed.event_id)
    page = client.get(event(sent.position))
    way = [line.text for line in page.context["lines"] if line.kind == "event"]
    assert way.index("payment.accepted") < way.index("order.confirmed") < way.index("mail.sent")
    walked = [line.url for line in page.context["lines"] if line.text == "order.confirmed"]
    assert walked == [event(confirmed.position)]
    assert client.get(walked[0]).status_code == 200


def test_what_apps_tell_is_there_for_who_may_see_it_alone(client, staff, order):
    staff(SEE)
    page = client.get(event(of("payment.accepted").position))
    assert not [line for line in page.context["lines"] if line.kind == "followed"]
    assert "/admin/sagas/" not in re.sub(r"<nav.*?</nav>", "", text(page))


def test_who_wants_it_and_whether_they_have_come_past_it(client, staff, order):
    staff(SEE, "eventstore.view_subscriberrow")
    placed = of("order.placed")
    SubscriberRow.objects.filter(subscriber="sales-by-day").update(checkpoint=0)
    SubscriberRow.objects.filter(subscriber="order-summaries").update(checkpoint=store.head())
    page = client.get(event(placed.position))
    told = {each.subscriber: each for each in page.context["standings"]}
    assert (told["order-summaries"].state, told["order-summaries"].keys) == ("done", [str(order)])
    assert told["sale"].kind == "saga"
    assert "/admin/eventstore/subscriberrow/of/order-summaries/" in text(page)
    wanted = StoredEvent.objects.filter(type__in=registry["sales-by-day"].types).latest("position")
    sold = client.get(event(wanted.position))
    assert {each.subscriber: each.state for each in sold.context["standings"]}["sales-by-day"] == "waiting"


def test_where_it_is_parked_discarded_or_left_out_is_said(client, staff, order):
    staff(SEE, "eventstore.view_parkedevent")
    position = of("order.placed").position
    which = {"subscriber": "order-summaries", "position": position}
    ParkedEvent.objects.create(**which, key=str(order), error="KeyError: x")
    DiscardedEvent.objects.create(subscriber="watchful", position=position, key="k", reason="a double", by="ada")
    SkippedRange.objects.create(subscriber="sale", after=position - 1, upto=position, reason="too old", by="ada")
    HandlerWarning.objects.create(**which, text="odd")
    page = client.get(event(position))
    said = {trouble.kind: (trouble.text, url) for trouble, url in page.context["troubles"]}
    assert said["parked"] == ("KeyError: x", "/admin/eventstore/parkedevent/?subscriber=order-summaries")
    assert (said["discarded"], said["skipped"], said["warned"]) == (("a double", ""), ("too old", ""), ("odd", ""))
    assert {each.subscriber: each.state for each in page.context["standings"]}["order-summaries"] == "parked"


def test_a_long_chain_is_cut_off_and_says_so(client, staff, order):
    staff(SEE)
    cause = of("order.confirmed")
    stream = new_id()
    with acting(correlation_id=cause.correlation_id, causation_id=cause.event_id):
        for first in range(0, 150, 50):
            confirmed = [OrderConfirmed(order_id=stream)] * 50
            store.append(Changes(stream_id=stream, category="order", expected=first, events=confirmed))
    page = client.get(event(cause.position))
    assert "Of this correlation only the 100 events before this one and the 100 after it" in text(page)
    (more,) = (line for line in page.context["lines"] if line.kind == "more")
    assert re.fullmatch(r"and \d+ more", more.text)
    assert len(page.context["lines"]) < 60


def test_a_page_takes_few_statements(client, staff, order):
    staff(SEE, *CONSEQUENCES)
    with CaptureQueriesContext(connection) as seen:
        assert client.get(event(of("payment.accepted").position)).status_code == 200
    assert len(seen) <= 15, [each["sql"] for each in seen]


def test_an_app_of_the_project_can_tell_of_consequences(client, staff, order):
    staff(SEE, "ordering.view_ordersummary")
    placed = of("order.placed")

    def source(event, beside):
        yield Consequence(event_id=event.event_id, text="a letter", page="ordering_ordersummary_change", args=(order,))

    chains.sources.register(source, "ordering.view_ordersummary")
    try:
        page = client.get(event(placed.position))
    finally:
        chains.sources.unregister(source)
    assert "a letter" in words(page)
    assert f"/admin/ordering/ordersummary/{order}/change/" in text(page)


def test_the_row_of_an_order_is_among_what_followed(client, staff, order):
    staff(SEE, "ordering.view_ordersummary")
    page = client.get(event(of("order.confirmed").position))
    urls = [line.url for line in page.context["lines"] if line.text.startswith("order BX-")]
    assert urls == [f"/admin/ordering/ordersummary/{order}/change/"]


def test_events_that_cause_each_other_are_no_endless_tree(order):
    placed = store.read_one(of("order.placed").position)
    beside = [each._replace(causation_id=each.event_id) for each in around(placed)]
    assert len(chain(placed, beside, []).nodes) < 20
