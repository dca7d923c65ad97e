"""The pages of the books, and what is exported from the lists of money."""

import csv
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.order import CancelOrder, OrderConfirmed
from ordering.models import ConferenceSales, JournalEntry
from sagas.testing import bring_to_rest
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

MAY_SEE = "ordering.view_journalentry"
JOURNAL, BALANCE = "/admin/ordering/journalentry/", "/admin/ordering/journalentry/trial-balance/"
EXPORTS = {
    f"{JOURNAL}export/": (MAY_SEE, "ordering.export_journal"),
    "/admin/ordering/conferencesales/export/": ("ordering.view_conferencesales", "ordering.export_payments"),
}


@pytest.fixture
def conference():
    """Two orders are paid, of which one is cancelled."""
    conference = shop.conference_on_sale()
    orders = [shop.order(shop.customer(), conference) for _ in range(2)]
    bring_to_rest(deliver=False)
    for order in orders:
        shop.pay(order)
    bring_to_rest(deliver=False)
    dispatch(CancelOrder(order_id=orders[1]))
    bring_to_rest()
    return conference


def text(answer):
    assert answer.status_code == 200
    return answer.content.decode()


def read(answer):
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


def shown(client, query):
    """By account: its debits, its credits and its balance, as the trial balance has them."""
    context = client.get(BALANCE, query).context
    return {
        row["name"]: (row["debits"], row["credits"], row["balance"])
        for each in context["currencies"]
        for row in each.accounts
    }


def test_entries_are_listed_filtered_and_found_and_the_journal_is_never_counted(client, staff, conference):
    staff(MAY_SEE)
    entry = JournalEntry.objects.filter(account="revenue").first()
    assert entry is not None
    queries = [
        {},
        {"account__exact": "revenue"},
        {"currency": "EUR"},
        {"conference_id": conference},
        {"q": entry.position},
        {"q": entry.order_id},
    ]
    for query in queries:
        with CaptureQueriesContext(connection) as asked:
            found = client.get(JOURNAL, query).context["cl"].result_list
        assert entry in found, query
        assert not [each for each in asked if "COUNT(" in each["sql"] and "journal" in each["sql"]]
    assert not client.get(JOURNAL, {"q": "nothing"}).context["cl"].result_list
    assert "held by providers: sandbox" in text(client.get(JOURNAL))


def test_the_trial_balance_is_that_of_now_of_a_position_or_of_the_end_of_a_day(client, staff, conference):
    staff(MAY_SEE)
    price = shop.PRICE.amount
    now = {
        "held by providers: sandbox": (2 * price, price, price),
        "owed to customers": (3 * price, 3 * price, 0),
        "refunds under way": (price, price, 0),
        "revenue": (price, 2 * price, -price),
    }
    cancelled = StoredEvent.objects.get(type="order.cancelled").position
    before = {name: now[name] for name in now if name != "refunds under way"} | {
        "held by providers: sandbox": (2 * price, 0, 2 * price),
        "owed to customers": (2 * price, 2 * price, 0),
        "revenue": (0, 2 * price, -2 * price),
    }
    in_utc = {"time_zone": "UTC"}
    assert shown(client, {}) == shown(client, {"position": store.head(), **in_utc}) == now
    assert shown(client, {"position": cancelled - 1, **in_utc}) == before
    assert shown(client, {"day": "2999-01-01", "time_zone": "Asia/Tokyo"}) == now
    assert "differ by" not in text(client.get(BALANCE))


def test_a_trial_balance_of_nothing_explains_itself(client, staff, conference):
    staff(MAY_SEE)
    assert "Nothing is in the books as of then" in text(client.get(BALANCE, {"day": "2020-01-01", "time_zone": "UTC"}))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"day": "2030-01-01", "position": "3", "time_zone": "UTC"}, "not both"),
        ({"day": "2030-01-01", "time_zone": "Mars"}, "No time zone has this name"),
        ({"position": "-1", "time_zone": "UTC"}, "greater than or equal to 0"),
        ({"position": "9" * 30, "time_zone": "UTC"}, "less than or equal to"),
    ],
)
def test_a_time_that_means_nothing_is_refused(client, staff, conference, query, told):
    staff(MAY_SEE)
    page = text(client.get(BALANCE, query))
    assert told in page
    assert "data-currency" not in page


def test_books_that_do_not_balance_are_told(client, staff, conference):
    JournalEntry.objects.filter(account="revenue", debit__gt=0).delete()
    staff(MAY_SEE)
    assert "Debits and credits differ by -99.50 EUR" in text(client.get(BALANCE))


def test_the_days_of_a_conference_are_reached_from_its_page(client, staff, conference):
    days = reverse("admin:ordering_conference_days", args=[conference])
    at = reverse("admin:ordering_conferencesummary_change", args=[conference])
    staff(MAY_SEE, "ordering.view_conferencesummary")
    assert days in text(client.get(at))
    (day,) = client.get(days).context["days"]
    assert (day["received"], day["returned"], day["earned"]) == (199, shop.PRICE.amount, shop.PRICE.amount)
    empty = reverse("admin:ordering_conference_days", args=[shop.conference_on_sale()])
    assert "Nothing is in the books for this conference yet" in text(client.get(empty))


def test_the_books_take_a_permission(client, staff, conference):
    staff("ordering.view_conferencesummary")
    days = reverse("admin:ordering_conference_days", args=[conference])
    assert [client.get(page).status_code for page in (JOURNAL, BALANCE, days)] == [403, 403, 403]
    assert days not in text(client.get(reverse("admin:ordering_conferencesummary_change", args=[conference])))


def test_the_journal_is_exported_as_its_list_selects_it(client, staff, conference):
    staff(*EXPORTS[f"{JOURNAL}export/"])
    page = client.get(JOURNAL, {"account__exact": "revenue", "number__lt": 1})
    newest, *others = read(client.get(page.context["export_url"]))
    entry = JournalEntry.objects.filter(account="revenue").first()
    assert entry is not None
    assert len(others) == 2
    assert newest == {
        "Number": str(entry.number),
        "Recorded (UTC)": f"{entry.recorded_at:%Y-%m-%d %H:%M:%S}",
        "Position": str(entry.position),
        "Event": "order.cancelled",
        "Account": "revenue",
        "Provider": "",
        "Debit": "99.50",
        "Credit": "0.00",
        "Currency": "EUR",
        "Order id": str(entry.order_id),
        "Conference id": str(conference),
    }
    assert LogEntry.objects.get().get_change_message() == "Exported as CSV."


def test_payments_are_exported(client, staff, conference):
    export = "/admin/ordering/conferencesales/export/"
    staff(*EXPORTS[export])
    rows = read(client.get(export))
    assert [row["Payment id"] for row in rows] == [str(sale.pk) for sale in ConferenceSales.objects.all()]
    assert [(row["Received"], row["Refunded"], row["Currency"]) for row in rows] == [
        ("99.50", "99.50", "EUR"),
        ("99.50", "0.00", "EUR"),
    ]
    assert list(rows[0])[-2:] == ["Provider", "Reference"]
    assert [(row["Provider"], row["Reference"]) for row in rows] == [
        ("sandbox", f"REF-{row['Order id'].replace('-', '')[-12:]}") for row in rows
    ]


def test_a_payment_that_was_paid_twice_is_exported_with_both_references(client, staff, conference):
    sale = ConferenceSales.objects.filter(refunded=0).get()
    shop.pay(sale.order_id, reference="AGAIN")
    bring_to_rest()
    export = "/admin/ordering/conferencesales/export/"
    staff(*EXPORTS[export])
    (row,) = (each for each in read(client.get(export)) if each["Payment id"] == str(sale.pk))
    assert (row["Provider"], row["Reference"]) == ("sandbox", f"REF-{sale.order_id.hex[-12:]}, AGAIN")


@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize("granted", [(), (0,), (1,)])
def test_an_export_takes_its_own_permission_and_that_to_see_the_list(client, staff, export, granted):
    staff(*(EXPORTS[export][each] for each in granted))
    assert client.get(export).status_code == 403
    assert not LogEntry.objects.exists()


def test_what_a_spreadsheet_would_run_is_exported_as_text(client, staff, conference):
    JournalEntry.objects.update(provider="=1+1")
    staff(*EXPORTS[f"{JOURNAL}export/"])
    assert {row["Provider"] for row in read(client.get(f"{JOURNAL}export/"))} == {"'=1+1"}


def test_an_entry_says_what_happened_in_words(client, staff, conference):
    staff(MAY_SEE)
    page = text(client.get(JOURNAL))
    assert "Finance has booked 99.50 EUR by sandbox" in page
    assert "payment.received" not in page
    entry = JournalEntry.objects.filter(event="order.confirmed")[0]
    assert "The order is confirmed." in text(client.get(f"{JOURNAL}{entry.pk}/change/"))


def test_an_entry_of_what_only_newer_code_can_read_is_called_by_its_name(client, staff, conference, monkeypatch):
    staff(MAY_SEE)
    monkeypatch.setattr(OrderConfirmed, "schema", 0)
    assert "order.confirmed" in text(client.get(JOURNAL))
