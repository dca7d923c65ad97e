"""Every page answers, to those who may see it, without counting what grows."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from unfold.admin import ModelAdmin

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import OperatorAction, StoredEvent
from ordering.admin import order_search
from ordering.domain.customer import ConfirmEmail, RegisterCustomer
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary
from projections.models import Generation
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

PROJECTIONS = "/admin/projections/generation/"
OPERATE = "/admin/eventstore/subscriberrow/operate/"
GROWING = ("eventstore_event", "ordering_ordersummary", "ordering_customerprofile", "sagas_", "projections_")
RECORDED = {
    "seats-TOTAL_FORMS": "1",
    "seats-INITIAL_FORMS": "0",
    "seats-0-code": "std",
    "seats-0-name": "Standard",
    "seats-0-price": "10",
    "seats-0-capacity": "5",
    "seats-0-max_per_order": "2",
    "conference_id": "0190b3a0-0000-7000-8000-000000000001",
    "name": "PyCon",
    "time_zone": "UTC",
    "starts_at": "2030-06-01T09:00",
    "opens_at": "2030-01-01T09:00",
    "closes_at": "2030-05-01T09:00",
    "currency": "EUR",
}


@pytest.fixture
def sold():
    ada, conference = shop.customer(), shop.conference_on_sale()
    for _ in range(27):
        shop.order(ada, conference)


def test_every_list_and_every_first_row_is_shown(client, staff, sold):
    staff(superuser=True)
    for model, shown in admin.site._registry.items():
        assert isinstance(shown, ModelAdmin), model
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse(f"{name}_changelist")).status_code == 200, model
        counted = [each["sql"] for each in asked if "COUNT(*)" in each["sql"]]
        assert not [query for query in counted if any(table in query for table in GROWING)], counted
        if first := model._default_manager.first():
            assert client.get(reverse(f"{name}_change", args=[first.pk])).status_code == 200, model


def test_the_log_is_paged_by_position(client, staff, sold):
    staff("eventstore.view_storedevent")
    url = reverse("admin:eventstore_storedevent_changelist")
    newest = client.get(url).context["cl"]
    assert newest.newest == ""
    older = client.get(url + newest.older).context["cl"]
    assert newest.result_list[-1].position == older.result_list[0].position + 1
    assert older.newest == "?"
    trace = StoredEvent.objects.get(position=4).correlation_id
    traced = client.get(url, {"correlation_id": trace, "of": "payment"}).context["cl"].result_list
    assert {(event.correlation_id, event.category) for event in traced} == {(trace, "payment")}


def test_orders_are_paged_by_the_time_they_were_placed(client, staff, sold):
    staff("ordering.view_ordersummary")
    url = reverse("admin:ordering_ordersummary_changelist")
    newest = client.get(url).context["cl"]
    older = client.get(url + newest.older).context["cl"]
    assert (len(newest.result_list), len(older.result_list), older.older) == (25, 2, "")


def found_by(client, term):
    return client.get(reverse("admin:ordering_ordersummary_changelist"), {"q": term}).context["cl"].result_list


@pytest.mark.parametrize("by", ["number", "pk", "customer_id", "conference_id", "email"])
def test_an_order_is_found_by(client, staff, by):
    order = OrderSummary.objects.get(pk=shop.order(shop.customer(), shop.conference_on_sale()))
    shop.order(shop.customer(), shop.conference_on_sale())
    staff("ordering.view_ordersummary")
    term = CustomerProfile.objects.get(pk=order.customer_id).email if by == "email" else getattr(order, by)
    assert found_by(client, term) == [order]


def test_an_order_is_found_by_a_name_and_by_a_payment(client, staff):
    grace, conference = shop.customer("Grace Brewster Hopper"), shop.conference_on_sale()
    order = OrderSummary.objects.get(pk=shop.order(grace, conference))
    shop.order(shop.customer("Grace Hopkins"), conference)
    shop.pay(order.pk, reference="RF12 3456")
    staff("ordering.view_ordersummary")
    for term in ("grace hopper", "Hopper, Grace", "brew", "RF12 3456"):
        assert found_by(client, term) == [order], term
    assert len(found_by(client, "Grace Hop")) == 2
    for term in ("Lovelace", "RF12", "'; --", "grace | lovelace"):
        assert found_by(client, term) == [], term


@pytest.mark.parametrize("stored", ["Ada.Lovelace@Example.com", "ada.lovelace@example.com"])
def test_a_customer_and_their_orders_are_found_by_an_email_address_in_any_case(client, staff, stored):
    ada = new_id()
    dispatch(RegisterCustomer(customer_id=ada, name="Ada Lovelace", email=stored))
    order = OrderSummary.objects.get(pk=shop.order(ada, shop.conference_on_sale()))
    staff("ordering.view_ordersummary", "ordering.view_customerprofile")
    customers = reverse("admin:ordering_customerprofile_changelist")
    for typed in (stored, stored.lower(), stored.upper(), stored.capitalize()):
        assert found_by(client, typed) == [order], typed
        assert [each.pk for each in client.get(customers, {"q": typed}).context["cl"].result_list] == [ada], typed
    assert found_by(client, "ada_lovelace@example.com") == []


IN_UNICODE, IN_ASCII = "Ada@b\u00fccher.example", "ada@xn--bcher-kva.example"


@pytest.mark.parametrize("stored", [IN_UNICODE, IN_ASCII])
def test_a_customer_and_their_orders_are_found_by_either_form_of_a_domain(client, staff, stored):
    ada = new_id()
    dispatch(RegisterCustomer(customer_id=ada, name="Ada Lovelace", email=stored))
    order = OrderSummary.objects.get(pk=shop.order(ada, shop.conference_on_sale()))
    staff("ordering.view_ordersummary", "ordering.view_customerprofile")
    customers = reverse("admin:ordering_customerprofile_changelist")
    for typed in (IN_UNICODE, IN_ASCII, IN_UNICODE.upper(), IN_ASCII.upper(), "ada@bu\u0308cher.example"):
        assert found_by(client, typed) == [order], typed
        assert [each.pk for each in client.get(customers, {"q": typed}).context["cl"].result_list] == [ada], typed


def test_a_name_that_could_be_a_number_is_a_name(client, staff):
    order = OrderSummary.objects.get(pk=shop.order(shop.customer("Lovelace"), shop.conference_on_sale()))
    staff("ordering.view_ordersummary")
    assert found_by(client, "Lovelace") == [order]


def test_names_addresses_and_references_are_looked_up_by_indexes(clean):
    referring = OrderSummary.objects.filter(payments__contains=[{"reference": "RF12"}]).order_by()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        assert "ordering_customer_words" in order_search.named("Ada Lovelace").order_by().explain()
        assert "ordering_customer_email_upper" in order_search.addressed("ada@example.com").order_by().explain()
        assert "ordering_order_payments" in referring.explain()
        cursor.execute("RESET enable_seqscan")


def test_nobody_writes_a_read_table_by_hand(client, staff):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    staff(superuser=True)
    assert client.get(reverse("admin:ordering_ordersummary_add")).status_code == 403
    assert client.post(reverse("admin:ordering_ordersummary_change", args=[order]), {"number": "1"}).status_code == 403
    assert client.post(reverse("admin:ordering_ordersummary_delete", args=[order])).status_code == 403


@pytest.mark.parametrize("action", ["rebuild", "cancel"])
def test_only_who_may_rebuild_can_begin_or_cancel_one(client, staff, action):
    staff("projections.view_generation")
    assert client.post(f"{OPERATE}{action}/order-summaries/").status_code == 403
    assert not Generation.objects.exists()


def test_a_second_rebuild_of_a_projection_is_refused_in_words(client, staff):
    staff("projections.view_generation", "projections.rebuild_projection")
    url = f"{OPERATE}rebuild/order-summaries/"
    client.post(url, {"parts": 1})
    again = client.post(url, {"parts": 1})
    assert "This projection is being rebuilt, or verified, already." in again.content.decode()
    assert Generation.objects.count() == 1
    client.post(f"{OPERATE}cancel/order-summaries/")
    assert Generation.objects.get().cancelling
    actions = OperatorAction.objects.order_by("id").values_list("operation", "target", "refused")
    assert list(actions) == [
        ("rebuild", "order-summaries", False),
        ("rebuild", "order-summaries", True),
        ("cancel", "order-summaries", False),
    ]


def test_a_rebuild_of_what_is_no_projection_is_not_found(client, staff):
    staff("projections.rebuild_projection")
    assert client.post(f"{OPERATE}rebuild/nobody/").status_code == 404


def test_a_page_that_asks_again_is_loaded_anew_once_its_reader_is_logged_out(client):
    for url in ("/admin/status/", f"{PROJECTIONS}panel/"):
        answer = client.get(url)
        assert (answer.status_code, answer.headers["HX-Refresh"]) == (200, "true")


def test_scheduling_takes_a_permission(client, staff):
    staff("ordering.view_conferencesummary")
    assert client.post("/admin/ordering/conferencesummary/add/", RECORDED).status_code == 403
    assert not StoredEvent.objects.exists()


def test_a_form_that_is_sent_twice_schedules_once(client, staff):
    user = staff("ordering.view_conferencesummary", "ordering.add_conferencesummary")
    first, second = (client.post("/admin/ordering/conferencesummary/add/", RECORDED) for _ in range(2))
    for answer in (first, second):
        assert answer.status_code == 302
        assert RECORDED["conference_id"] in answer.url
    events = list(StoredEvent.objects.values_list("type", "actor"))
    assert events == [("conference.scheduled", f"staff:{user.pk}"), ("seats.added", f"staff:{user.pk}")]
    (trace,) = set(StoredEvent.objects.values_list("correlation_id", flat=True))
    assert str(trace) == first.headers["X-Correlation-Id"]
    assert LogEntry.objects.count() == 1


def test_a_currency_is_read_without_what_is_white_around_it(client, staff):
    staff("ordering.view_conferencesummary", "ordering.add_conferencesummary")
    answer = client.post("/admin/ordering/conferencesummary/add/", RECORDED | {"currency": "EUR\n"})
    assert answer.status_code == 302
    assert ConferenceSummary.objects.get().seat_types["std"]["price"]["currency"] == "EUR"


def test_what_a_rule_refuses_is_said_at_the_form(client, staff):
    staff("ordering.add_conferencesummary")
    answer = client.post("/admin/ordering/conferencesummary/add/", RECORDED | {"closes_at": "2030-07-01T09:00"})
    assert "invalid-sales-window" in answer.context["form"].errors["closes_at"][0]


def test_the_page_of_a_customer_and_the_list_say_whether_the_address_is_confirmed(client, staff):
    ada = shop.customer()
    staff("ordering.view_customerprofile")
    pages = [
        reverse("admin:ordering_customerprofile_changelist"),
        reverse("admin:ordering_customerprofile_change", args=[ada]),
    ]
    for answer in ("False", "True"):
        for page in pages:
            text = client.get(page).content.decode()
            assert "mail confirmed" in text
            assert f'title="{answer}"' in text
        dispatch(ConfirmEmail(customer_id=ada, email=CustomerProfile.objects.get(pk=ada).email))
