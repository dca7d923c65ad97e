"""The search: one field that finds everything that its user may see."""

from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from eventstore.models import StoredEvent
from ordering.domain.values import payment_id_of
from ordering.models import CustomerProfile, OrderSummary
from sagas.models import OutboxCommand
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import text
from tests.integration.poison import poisoned

pytestmark = pytest.mark.usefixtures("clean")

SEARCH = "/admin/search/"


@pytest.fixture
def order():
    order = shop.order(shop.customer(name="Grace Hopper"), shop.conference_on_sale(name="DjangoCon Europe"), 2)
    bring_to_rest(deliver=False)
    shop.pay(order, 2, reference="RF12 3456")
    bring_to_rest(deliver=False)
    return order


def found(client, asked, **more):
    """By kind: what is found, as title and page."""
    groups = client.get(SEARCH, {"q": asked, **more}).context["groups"]
    return {group.kind: {each.title: each.url for each in group.results} for group in groups}


def page(model, id_, app="ordering"):
    return reverse(f"admin:{app}_{model}_change", args=[id_])


def event(position):
    return reverse("admin:eventstore_storedevent_change", args=[position])


def test_an_order_is_found_by_its_number_however_it_is_written(client, staff, order):
    staff("ordering.view_ordersummary")
    row = OrderSummary.objects.get()
    for asked in (row.number, row.number.lower(), row.number.replace("-", " "), row.number[3:], str(order)):
        assert found(client, asked)["Orders"] == {row.number: page("ordersummary", order)}, asked
    assert found(client, "RF12 3456")["Orders"] == {row.number: page("ordersummary", order)}
    assert row.number in found(client, str(payment_id_of(order)))["Orders"]


def test_an_order_that_is_not_readable_yet_is_found_by_its_number(client, staff, order):
    staff("ordering.view_ordersummary")
    number = OrderSummary.objects.get().number
    OrderSummary.objects.all().delete()
    assert found(client, number)["Orders"] == {number: page("ordersummary", order)}


def test_a_customer_is_found_by_name_address_and_id_with_their_orders(client, staff, order):
    staff("ordering.view_customerprofile", "ordering.view_ordersummary")
    customer = CustomerProfile.objects.get()
    for asked in ("hopper", "Grace Hop", customer.email.upper(), str(customer.pk)):
        assert found(client, asked)["Customers"] == {"Grace Hopper": page("customerprofile", customer.pk)}, asked
    assert list(found(client, customer.email)["Orders"].values()) == [page("ordersummary", order)]


def test_a_conference_is_found_by_words_of_its_name_and_by_its_id(client, staff, order):
    staff("ordering.view_conferencesummary")
    conference = OrderSummary.objects.get().conference_id
    for asked in ("europe", "djangocon eur", str(conference)):
        assert found(client, asked)["Conferences"] == {"DjangoCon Europe": page("conferencesummary", conference)}, asked


def test_an_event_is_found_by_position_by_its_id_and_by_its_correlation(client, staff, order):
    staff("eventstore.view_storedevent")
    paid = StoredEvent.objects.get(type="payment.accepted")
    shown = f"{paid.position:,} payment.accepted"
    assert found(client, f"{paid.position:,}")["Events"] == {shown: event(paid.position)}
    assert found(client, f"#{paid.position}")["Events"] == {shown: event(paid.position)}
    assert found(client, str(paid.event_id))["Events"] == {shown: event(paid.position)}
    chain = found(client, str(paid.correlation_id))["Events"]
    assert shown in chain
    followed = client.get(chain["Everything in this chain"]).context["cl"].result_list
    assert {each.correlation_id for each in followed} == {paid.correlation_id}
    assert len(followed) == StoredEvent.objects.filter(correlation_id=paid.correlation_id).count() > 1


def test_a_stream_and_a_command_are_found_by_their_ids(client, staff, order):
    staff("eventstore.view_storedevent")
    placed = StoredEvent.objects.get(type="order.placed")
    assert list(found(client, str(order))["Streams"]) == [f"order {order}"]
    assert list(found(client, str(placed.causation_id))["Commands"]) == [f"Command {placed.causation_id}"]


def test_a_saga_is_found_by_its_key_and_its_command_by_its_id(client, staff, order):
    staff("sagas.view_instance", "sagas.view_outboxcommand")
    assert found(client, str(order))["Sagas"][f"sale {order}"] == reverse("admin:sagas_history", args=["sale", order])
    command = OutboxCommand.objects.latest("id")
    assert found(client, str(command.command_id)) == {
        "Commands of sagas": {command.type: page("outboxcommand", command.pk, app="sagas")}
    }


def test_a_type_a_subscriber_and_a_page_of_the_menu_are_found_by_words(client, staff):
    staff(superuser=True)
    assert "order.confirmed" in found(client, "order confirmed")["Types of events"]
    assert list(found(client, "order-summaries")["Subscribers"]) == ["order-summaries"]
    assert found(client, "parked")["Pages"]["Parked events"] == "/admin/eventstore/parkedevent/"


def test_a_parked_event_is_found_by_its_key(client, staff):
    with poisoned():
        customer = shop.customer(name="poison")
        staff("eventstore.view_parkedevent")
        assert list(found(client, str(customer))["Parked events"]) == ["Event 1 of customer-profiles"]


def test_nobody_finds_what_they_may_not_see(client, staff, order):
    staff("sagas.view_timer")
    row = OrderSummary.objects.get()
    for asked in (row.number, "hopper", str(order), str(row.customer_id), "1", "order confirmed", "europe"):
        assert found(client, asked) == {}, asked
    assert list(found(client, "timers")) == ["Pages"]
    assert "parked" not in str(found(client, "parked")).lower()


@pytest.mark.parametrize("asked", ["", " ", "\0", "%", "'", "x" * 5000, "9" * 400, "@", "&", "-", "´`<b>"])
def test_what_means_nothing_finds_nothing(client, staff, asked):
    staff(superuser=True)
    answer = client.get(SEARCH, {"q": asked})
    assert answer.status_code == 200
    assert answer.context["groups"] == []
    assert "<b>" not in text(answer)


def test_no_search_takes_many_statements(client, staff, order):
    user = staff(superuser=True)
    row, paid = OrderSummary.objects.get(), StoredEvent.objects.get(type="payment.accepted")
    user.is_superuser = False
    user.save()
    user.user_permissions.set(Permission.objects.all())
    for asked in (
        row.number,
        "Grace Hopper",
        f"{row.customer_id.hex}@example.org",
        str(order),
        str(paid.event_id),
        "5",
    ):
        client.get(SEARCH, {"q": asked})
        with CaptureQueriesContext(connection) as statements:
            client.get(SEARCH, {"q": asked})
        assert len(statements) <= 15, (asked, len(statements))


def test_an_id_that_tells_no_time_finds_no_event(client, staff, order):
    staff(superuser=True)
    assert found(client, str(uuid4())) == {}
    assert found(client, str(UUID(int=0))) == {}


def test_a_part_of_the_page_is_the_results_alone(client, staff, order):
    staff(superuser=True)
    shown = text(client.get(SEARCH, {"q": "hopper", "part": ""}))
    assert "Grace Hopper" in shown
    assert "<html" not in shown
    assert client.get(SEARCH, {"q": "hopper"}).context["title"] == "Search"


def test_the_page_is_for_staff(client, order):
    assert client.get(SEARCH, {"q": "hopper"}).status_code == 302
