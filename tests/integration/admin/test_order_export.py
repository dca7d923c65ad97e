"""The link "Export as CSV" below the list of orders."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from eventstore import store
from eventstore.commands import dispatch
from ordering.admin import csv_export
from ordering.domain.customer import ChangeCustomer, CustomerRenamed
from ordering.models import OrderSummary
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

MAY_SEE, MAY_EXPORT = "ordering.view_ordersummary", "ordering.export_orders"
EXPORT, LIST = "/admin/ordering/ordersummary/export/", "/admin/ordering/ordersummary/"


@pytest.fixture
def sold():
    ada, conference = shop.customer(), shop.conference_on_sale()
    return [shop.order(ada, conference, seats) for seats in (1, 2, 3)]


def read(answer):
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


def test_orders_are_exported_in_plain_words_the_newest_first(client, staff, sold):
    staff(MAY_SEE, MAY_EXPORT)
    newest, *_ = exported = read(client.get(EXPORT))
    assert [row["Order id"] for row in exported] == [str(order) for order in reversed(sold)]
    order = OrderSummary.objects.get(pk=sold[-1])
    assert newest == {
        "Number": order.number,
        "Placed (UTC)": f"{order.placed_at:%Y-%m-%d %H:%M:%S}",
        "Status": "awaiting payment",
        "Customer": "Ada Lovelace",
        "Conference": "PyCon",
        "Seats": "3 x standard",
        "Total": "298.50",
        "Currency": "EUR",
        "Payment": "requested",
        "Pay until (UTC)": f"{order.expires_at:%Y-%m-%d %H:%M:%S}",
        "Order id": str(order.pk),
    }
    assert LogEntry.objects.get().get_change_message() == "Exported as CSV."


@pytest.mark.parametrize(("total", "currency", "shown"), [("2500", "JPY", "2500"), ("2.01", "KWD", "2.010")])
def test_totals_are_exported_in_the_decimals_of_their_currency(client, staff, sold, total, currency, shown):
    OrderSummary.objects.update(total=Decimal(total), currency=currency)
    staff(MAY_SEE, MAY_EXPORT)
    assert {(row["Total"], row["Currency"]) for row in read(client.get(EXPORT))} == {(shown, currency)}


def test_the_export_is_of_what_the_list_selects_from_its_first_page_on(client, staff, sold):
    shop.pay(sold[0])
    other = shop.order(shop.customer(), shop.conference_on_sale())
    staff(MAY_SEE, MAY_EXPORT)
    conference = OrderSummary.objects.get(pk=sold[0]).conference_id
    for query, found in (
        ({"status": "confirmed"}, [sold[0]]),
        ({"conference_id": conference}, sold[::-1]),
        ({"conference_id": conference, "status": "awaiting_payment"}, [sold[2], sold[1]]),
        ({"q": OrderSummary.objects.get(pk=other).number.lower()}, [other]),
        ({"status": "expired"}, []),
    ):
        page = client.get(LIST, {**query, "placed_at__lt": "2020-01-01T00:00:00+00:00"})
        exported = client.get(page.context["export_url"])
        assert [row["Order id"] for row in read(exported)] == [str(order) for order in found], query


def test_a_filter_that_means_nothing_leads_back_to_the_list(client, staff, sold):
    staff(MAY_SEE, MAY_EXPORT)
    answer = client.get(EXPORT, {"nonsense": "1"})
    assert (answer.status_code, answer.url) == (302, f"{LIST}?e=1")


@pytest.mark.parametrize("granted", [(), (MAY_SEE,), (MAY_EXPORT,)])
def test_the_export_takes_its_own_permission_and_that_to_see_orders(client, staff, sold, granted):
    staff(*granted)
    assert client.get(EXPORT).status_code == 403
    assert "export_url" not in (client.get(LIST).context or {})
    assert not LogEntry.objects.exists()


def test_the_export_is_read_page_by_page_along_the_index(client, staff, sold, monkeypatch):
    monkeypatch.setattr(csv_export, "PAGE", 2)
    moment = OrderSummary.objects.get(pk=sold[0]).placed_at
    OrderSummary.objects.update(placed_at=moment)
    staff(MAY_SEE, MAY_EXPORT)
    with CaptureQueriesContext(connection) as asked:
        exported = read(client.get(EXPORT))
    assert [row["Order id"] for row in exported] == sorted(map(str, sold), reverse=True)
    pages = [each["sql"] for each in asked if each["sql"].endswith("LIMIT 2")]
    assert len(pages) == 3
    assert not [page for page in pages if "OFFSET" in page]


def test_the_site_sends_the_export_while_it_is_read(client, staff, sold, monkeypatch):
    monkeypatch.setattr(csv_export, "PAGE", 2)
    user = staff(MAY_SEE, MAY_EXPORT)

    async def parts():
        site = AsyncClient()
        await site.aforce_login(user)
        answer: Any = await site.get(EXPORT)
        assert answer.is_async
        return [part.decode() async for part in answer.streaming_content]

    heading, *pages = async_to_sync(parts)()
    assert heading.startswith("Number,Placed (UTC),Status,")
    assert [page.count("\r\n") for page in pages] == [2, 1]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", '=HYPERLINK("x")'])
def test_a_name_is_never_run_as_a_formula(client, staff, sold, name):
    """Also one with a control character, from before those were refused."""
    customer = OrderSummary.objects.get(pk=sold[0]).customer_id
    renamed = CustomerRenamed(customer_id=customer, name=name)
    store.append(
        store.Changes(stream_id=customer, category="customer", expected=store.version_of(customer), events=[renamed])
    )
    bring_to_rest(deliver=False)
    staff(MAY_SEE, MAY_EXPORT)
    assert {row["Customer"] for row in read(client.get(EXPORT))} == {f"'{name}"}


def test_a_name_is_exported_as_people_write_it(client, staff, sold):
    name = 'Zoë "Z", of =1+1'
    dispatch(ChangeCustomer(customer_id=OrderSummary.objects.get(pk=sold[0]).customer_id, name=name))
    staff(MAY_SEE, MAY_EXPORT)
    assert {row["Customer"] for row in read(client.get(EXPORT))} == {name}


def test_the_link_is_below_the_list(client, staff, sold):
    staff(MAY_SEE, MAY_EXPORT)
    page = client.get(LIST, {"status": "placed"}).content.decode()
    assert f'href="{reverse("admin:ordering_ordersummary_export")}?status=placed"' in page
