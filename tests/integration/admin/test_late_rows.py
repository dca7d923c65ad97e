"""Rows that are late, out of date or not there: their pages tell what the log tells, and what holds them up."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import OperatorAction, ParkedEvent, SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from ordering.domain.conference_changes import RenameConference
from ordering.domain.customer import ChangeCustomer
from ordering.models import CustomerProfile, OrderSummary
from projections.models import Generation
from projections.operations import REBUILD
from projections.rebuild import builder
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import text
from tests.integration.poison import poisoned

pytestmark = pytest.mark.usefixtures("clean")

MODELS = {"order": "ordersummary", "customer": "customerprofile", "conference": "conferencesummary"}
SEE = [f"ordering.view_{model}" for model in MODELS.values()]
OPERATE = ["eventstore.view_subscriberrow", "eventstore.view_parkedevent", "eventstore.view_storedevent", REBUILD]


def page(noun, id_):
    return reverse(f"admin:ordering_{MODELS[noun]}_change", args=[id_])


def pause(name):
    perform(Pause(target=name), by="ada", reason="A test.")


def failed():
    return ParkedEvent.objects.exclude(error="").get()


@pytest.fixture
def poison():
    with poisoned() as poison:
        yield poison


def test_a_customer_who_is_registered_and_not_readable_yet_has_a_page_with_their_history(client, staff):
    shop.customer()
    pause("customer-profiles")
    customer = shop.customer(name="Grace")
    staff(*SEE, *OPERATE)
    answer = client.get(page("customer", customer))
    shown = text(answer)
    assert answer.status_code == 200
    assert "Customer Grace" in shown
    assert "Registered at" in shown
    assert "Its row isn't readable yet:" in shown
    assert "is 1 event behind, for it is paused." in shown
    assert reverse("admin:eventstore_subscriber", args=["customer-profiles"]) in shown
    assert "Grace was registered as" in shown
    assert "Perhaps it was deleted" not in shown


def test_an_order_that_is_not_readable_yet_says_its_number_and_how_it_stands(client, staff):
    customer, conference = shop.customer(), shop.conference_on_sale()
    pause("order-summaries")
    order = shop.order(customer, conference, 2)
    staff(*SEE)
    answer = client.get(page("order", order))
    shown = text(answer)
    assert answer.context["title"].startswith("Order ")
    assert "was placed: 2 × standard" in shown
    assert "By the log it is placed." in shown
    assert reverse("admin:eventstore_subscriber", args=["order-summaries"]) not in shown
    assert "Rebuild this row" not in shown


def test_a_customer_whose_first_event_is_parked_leads_to_it(client, staff, poison):
    customer = shop.customer(name="poison")
    staff(*SEE, *OPERATE)
    shown = text(client.get(page("customer", customer)))
    assert f'failed on event <a href="{reverse("admin:eventstore_parkedevent_change", args=[failed().pk])}">' in shown
    assert "CheckViolation" in shown


def test_a_row_that_is_gone_though_all_was_applied_is_brought_back_by_its_button(client, staff):
    customer = shop.customer()
    CustomerProfile.objects.all().delete()
    staff(*SEE, *OPERATE)
    answer = client.get(page("customer", customer))
    assert "the row is gone" in text(answer)
    (offer,) = answer.context["offers"]
    client.post(offer.url, dict(client.get(offer.url).context["hidden"]))
    builder.complete(Generation.objects.get())
    assert OperatorAction.objects.get(operation="rebuild-key").target == "customer-profiles"
    assert CustomerProfile.objects.filter(pk=customer).exists()


@pytest.mark.parametrize("noun", MODELS)
def test_an_id_that_no_stream_has_is_said_to_be_of_nothing(client, staff, noun):
    staff(*SEE)
    answer = client.get(page(noun, new_id()))
    assert answer.status_code == 404
    assert f"No such {noun}" in text(answer)


@pytest.mark.parametrize("noun", MODELS)
def test_who_may_not_see_them_is_not_told_which_there_are(client, staff, noun):
    staff("eventstore.view_storedevent")
    assert client.get(page(noun, new_id())).status_code == 403


def test_the_page_of_a_customer_whose_change_is_parked_says_so_and_offers_to_rebuild_the_row(client, staff, poison):
    customer = shop.customer(name="Grace")
    dispatch(ChangeCustomer(customer_id=customer, name="poison"))
    staff(*SEE, *OPERATE)
    shown = text(client.get(page("customer", customer)))
    assert "This page is out of date." in shown
    assert "The customer is called poison instead of Grace." in shown
    assert reverse("admin:eventstore_parkedevent_change", args=[failed().pk]) in shown
    assert reverse("admin:eventstore_operation", args=["rebuild-key", "customer-profiles"]) in shown


def test_an_order_whose_row_waits_says_what_the_log_says(client, staff):
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    bring_to_rest()
    pause("order-summaries")
    shop.pay(order, 2)
    bring_to_rest()
    staff(*SEE, *OPERATE)
    shown = text(client.get(page("order", order)))
    assert OrderSummary.objects.get(pk=order).status == "awaiting_payment"
    assert "has yet to apply" in shown
    assert "and is paused." in shown
    assert "The log says: confirmed." in shown
    SubscriberRow.objects.filter(subscriber="order-summaries").update(status="running")
    bring_to_rest()
    assert "out of date" not in text(client.get(page("order", order)))


def test_a_conference_whose_row_waits_says_what_it_does_not_show(client, staff):
    conference = shop.conference_on_sale()
    pause("seat-availability")
    dispatch(RenameConference(conference_id=conference, name="Another name"))
    staff(*SEE)
    shown = text(client.get(page("conference", conference)))
    assert "has yet to apply 1 event of it, and is paused." in shown
    assert "The conference is called Another name instead of" in shown


@pytest.mark.parametrize("noun", ["customer", "conference"])
def test_the_pages_take_few_statements(client, staff, noun):
    customer, conference = shop.customer(), shop.conference_on_sale()
    staff(superuser=True)
    id_ = {"customer": customer, "conference": conference}[noun]
    client.get(page(noun, id_))
    with CaptureQueriesContext(connection) as asked:
        client.get(page(noun, id_))
    assert len(asked) <= 15


def test_a_row_that_is_only_behind_is_not_offered_to_be_rebuilt(client, staff):
    customer = shop.customer(name="Grace")
    pause("customer-profiles")
    dispatch(ChangeCustomer(customer_id=customer, name="Augusta"))
    staff(*SEE, *OPERATE)
    standing = client.get(page("customer", customer)).context["standing"]
    assert standing["waiting"] == 1
    assert standing["offers"] == []


def test_a_row_that_its_events_have_removed_is_no_link(client, staff):
    order = shop.order(shop.customer(), shop.conference_on_sale(), 1)
    bring_to_rest()
    shop.pay(order, 2)
    bring_to_rest()
    staff(superuser=True)
    derived = {each.name: each for each in client.get(page("order", order)).context["derived"]}
    assert not derived["excess"].url
    assert derived["excess"].row.is_current
    assert client.get(derived["order-summaries"].url).status_code == 200
