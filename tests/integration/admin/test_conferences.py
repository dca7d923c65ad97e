"""What staff do about a conference, on its page."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering.admin.conference_acts import ACTS
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import CancelConference, ConferenceRenamed, RenameConference
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import SeatType
from ordering.models import ConferenceSummary, OrderSummary
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import said, text

pytestmark = pytest.mark.usefixtures("clean")

VIEW, CHANGE = "ordering.view_conferencesummary", "ordering.change_conferencesummary"
CANCEL = "ordering.cancel_conference"
CLOCKS_GO_FORWARD = datetime(2030, 3, 31, 7, tzinfo=UTC)
"""It is nine in Berlin; there was no half past two in that night."""


@pytest.fixture
def conference() -> UUID:
    """In Berlin, on the day the clocks change; nothing is sold yet."""
    conference_id = new_id()
    dispatch(
        ScheduleConference(
            conference_id=conference_id,
            name="PyCon",
            starts_at=CLOCKS_GO_FORWARD,
            opens_at=datetime.now(UTC) - timedelta(days=1),
            closes_at=CLOCKS_GO_FORWARD - timedelta(hours=8),
            seat_types=(
                SeatType("standard", "Standard", shop.PRICE, 100, 10),
                SeatType("student", "Student", shop.PRICE, 20, 2),
            ),
            time_zone="Europe/Berlin",
            place="Gasteig",
        )
    )
    return conference_id


@pytest.fixture
def may_change(staff):
    return staff(VIEW, CHANGE)


def page(conference):
    return reverse("admin:ordering_conferencesummary_change", args=[conference])


def address(conference, act, *key):
    return reverse("admin:ordering_conferencesummary_act", args=[conference, act, *key])


def fill_in(client, url, **said):
    """What the page asks for is sent with what it had in it, but for what is said otherwise."""
    form = client.get(url).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in {**shown, **said}.items() if value is not None}


def do(client, url, **said):
    return client.post(url, fill_in(client, url, **said), follow=True)


def row(conference):
    return ConferenceSummary.objects.get(pk=conference)


def newest():
    return StoredEvent.objects.order_by("-position").first()


def test_times_are_those_of_the_place_and_say_so(client, staff, conference):
    staff(VIEW)
    shown = text(client.get(page(conference)))
    assert "31 Mar 2030 09:00 Europe/Berlin" in shown
    assert "31 Mar 2030 00:00 Europe/Berlin" in shown
    assert "Gasteig" in shown
    listed = text(client.get(reverse("admin:ordering_conferencesummary_changelist")))
    assert "31 Mar 2030 09:00 Europe/Berlin" in listed


def test_a_conference_is_scheduled_at_a_time_of_its_zone(client, staff):
    staff(VIEW, "ordering.add_conferencesummary")
    conference = new_id()
    form = {
        "conference_id": conference,
        "name": "PyCon",
        "place": "Gasteig",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "opens_at": "2030-01-01T09:00",
        "closes_at": "2030-03-30T23:30",
        "starts_at": "2030-03-31T09:00",
        "seats-TOTAL_FORMS": 1,
        "seats-INITIAL_FORMS": 0,
        "seats-0-code": "std",
        "seats-0-name": "Standard",
        "seats-0-price": 10,
        "seats-0-capacity": 5,
        "seats-0-max_per_order": 2,
    }
    url = reverse("admin:ordering_conferencesummary_add")
    skipped = client.post(url, form | {"starts_at": "2030-03-31T02:30"})
    assert "Europe/Berlin" in skipped.context["form"].errors["starts_at"][0]
    unknown = client.post(url, form | {"time_zone": "Berlin"})
    assert "No time zone has this name" in unknown.context["form"].errors["time_zone"][0]
    assert not StoredEvent.objects.exists()
    assert client.post(url, form).status_code == 302
    scheduled = row(conference)
    assert (scheduled.starts_at, scheduled.place) == (CLOCKS_GO_FORWARD, "Gasteig")
    assert scheduled.opens_at == datetime(2030, 1, 1, 8, tzinfo=UTC)
    assert StoredEvent.objects.get(type="conference.scheduled").data["starts_at"] == "2030-03-31T07:00:00Z"


def test_every_act_has_a_page(client, staff, conference):
    staff(VIEW, CHANGE, CANCEL)
    do(client, address(conference, "add-pool"), code="hall", name="Hall", capacity=110)
    do(client, address(conference, "hold", "standard"), quantity=3, label="Speakers", reason="Free entry.")
    (hold_id,) = row(conference).holds
    keys = {"seat_types": ["standard"], "pools": ["hall"], "holds": [hold_id], "": []}
    shown, offered = text(client.get(page(conference))), set()
    for word, act in ACTS.items():
        url = address(conference, word, *keys[act.subjects])
        answer = client.get(url)
        assert answer.status_code == 200, word
        assert act.verb in text(answer), word
        if url in shown:
            offered.add(word)
    assert offered == ACTS.keys() - {"open-sales"}


def test_orders_have_other_payment_terms(client, may_change, conference):
    assert "within 15 minutes" in text(client.get(page(conference)))
    url = address(conference, "payment-terms")
    refused = do(client, url, within=400, unit="days", grace=0)
    assert "invalid-payment-terms" in refused.context["form"].errors["within"][0]
    answer = do(client, url, within=14, unit="days", last_day="2030-03-01", grace=60)
    assert said(answer) == ["New orders have other payment terms."]
    assert "within 14 days, by 1 Mar 2030 at the latest; kept 60 min longer" in text(client.get(page(conference)))
    terms = {"within": 14, "unit": "days", "last_day": "2030-03-01", "grace": 60}
    assert row(conference).payment_terms == newest().data["terms"] == terms
    assert {name: str(shown) for name, shown in fill_in(client, url).items() if name in terms} == {
        name: str(value) for name, value in terms.items()
    }


def test_orders_are_cancelled_by_another_rule(client, may_change, conference):
    assert "until the start, at no cost" in text(client.get(page(conference)))
    url = address(conference, "cancellation")
    refused = do(client, url, until="moment")
    assert "invalid-cancellation-rule" in refused.context["form"].errors["until"][0]
    do(client, url, until="moment", moment="2030-03-30T12:00", fixed="5.00", percent=10, per_seat="2.00")
    shown = text(client.get(page(conference)))
    assert "until 30 Mar 2030 12:00 Europe/Berlin; kept: 5.00 EUR, 10%, 2.00 EUR a seat" in shown
    assert newest().data["rule"]["moment"] == "2030-03-30T11:00:00Z"
    assert said(do(client, url)) == ["Nothing has changed."]
    do(client, url, until="start", moment="", hours=48, fixed="", percent=0, per_seat="")
    assert "until 48 hours before the start, at no cost" in text(client.get(page(conference)))
    do(client, url, until="never")
    assert "never" in text(client.get(page(conference)))


def test_payment_providers_are_chosen_among_those_that_are_installed(client, may_change, conference, settings):
    settings.BANK_TRANSFER_IBAN = "DE89370400440532013000"
    url = address(conference, "providers")
    assert "sandbox" in text(client.get(page(conference)))
    form = client.get(url).context["form"]
    assert [name for name, _ in form.fields["providers"].choices] == ["sandbox", "bank-transfer"]
    refused = do(client, url, providers=["sandbox"], usual="bank-transfer")
    assert refused.context["form"].errors["usual"]
    do(client, url, providers=["sandbox", "bank-transfer"], usual="bank-transfer")
    assert row(conference).providers == ["bank-transfer", "sandbox"]
    assert "bank transfer, sandbox" in text(client.get(page(conference)))
    do(client, url, providers=[], usual="")
    assert row(conference).providers == []


def test_seats_are_limited_by_order_and_by_customer(client, may_change, conference):
    assert "any number of seats" in text(client.get(page(conference)))
    do(client, address(conference, "limit-customers"), max_per_customer=8)
    assert "at most 8 seats" in text(client.get(page(conference)))
    url = address(conference, "terms", "standard")
    refused = do(client, url, max_per_order=4, min_per_order=5)
    assert "invalid-seat-type" in refused.context["form"].errors["min_per_order"][0]
    do(client, url, max_per_order=4, min_per_order=2)
    assert row(conference).seat_types["standard"]["min_per_order"] == 2
    assert "2 to 4 in an order" in text(client.get(address(conference, "add-seats")))


def test_a_conference_is_renamed_and_moved_and_has_another_sales_window(client, may_change, conference):
    answer = do(client, address(conference, "rename"), name="DjangoCon")
    assert said(answer) == ["The conference has another name."]
    assert "31 Mar 2030 09:00" in text(client.get(address(conference, "move")))
    do(client, address(conference, "move"), starts_at="2030-05-01T10:00", time_zone="Asia/Tokyo", place="Tokyo")
    moved = row(conference)
    assert (moved.name, moved.starts_at) == ("DjangoCon", datetime(2030, 5, 1, 1, tzinfo=UTC))
    assert (moved.time_zone, moved.place) == ("Asia/Tokyo", "Tokyo")
    do(client, address(conference, "sales-window"), closes_at="2030-04-30T12:00")
    assert row(conference).closes_at == datetime(2030, 4, 30, 3, tzinfo=UTC)
    late = do(client, address(conference, "sales-window"), closes_at="2030-05-01T10:01")
    assert "invalid-sales-window" in late.context["form"].errors["closes_at"][0]
    assert [entry.user for entry in LogEntry.objects.all()] == 3 * [may_change]


def test_mails_get_a_paragraph_which_the_form_then_shows(client, may_change, conference):
    do(client, address(conference, "mail-note"), note="The doors open at 8.\r\nBring your pass.")
    assert newest().data["note"] == "The doors open at 8.\nBring your pass."
    form = client.get(address(conference, "mail-note")).context["form"]
    assert form.initial["note"] == "The doors open at 8.\nBring your pass."
    assert do(client, address(conference, "mail-note"), note="n" * 1001).context["form"].errors["note"]
    do(client, address(conference, "mail-note"), note="")
    assert newest().data["note"] == ""


def test_sales_are_closed_for_a_reason_and_opened_again(client, may_change, conference):
    assert do(client, address(conference, "close-sales")).context["form"].errors["reason"]
    do(client, address(conference, "close-sales"), reason="The hall is in doubt.")
    assert row(conference).status == "sales_closed"
    assert newest().data["reason"] == "The hall is in doubt."
    do(client, address(conference, "open-sales"))
    assert row(conference).status == "scheduled"


def test_a_price_is_corrected_and_orders_keep_theirs(client, may_change, conference):
    order = shop.order(shop.customer(), conference)
    do(client, address(conference, "price", "standard"), price="79.00")
    assert row(conference).seat_types["standard"]["price"] == {"amount": "79.00", "currency": "EUR"}
    assert OrderSummary.objects.get(pk=order).total == shop.PRICE.amount
    shop.pay(order)
    assert OrderSummary.objects.get(pk=order).status == "confirmed"
    again = do(client, address(conference, "price", "standard"), price="79.00")
    assert said(again) == ["Nothing has changed."]


def test_a_capacity_is_not_lowered_below_what_is_taken_and_needs_a_reason(client, may_change, conference):
    shop.pay(shop.order(shop.customer(), conference, 2), 2)
    shop.order(shop.customer(), conference)
    do(client, address(conference, "hold", "standard"), quantity=3, label="Speakers", reason="Free entry.")
    url = address(conference, "capacity", "standard")
    shown = client.get(url).context["form"].facts()
    assert dict(shown) == {"Capacity": "100", "Sold": "2", "Reserved": "1", "Held": "3", "Available": "94"}
    refused = do(client, url, capacity=5, reason="Smaller hall.").context["form"].errors["capacity"][0]
    assert "2 are sold, 1 reserved and 3 held" in refused
    assert "reason-needed" in do(client, url, capacity=6).context["form"].errors["reason"][0]
    do(client, url, capacity=6, reason="Smaller hall.")
    assert row(conference).seat_types["standard"]["available"] == 0
    do(client, url, capacity=8)
    assert row(conference).seat_types["standard"]["available"] == 2


def test_a_seat_type_has_another_name_and_limit(client, may_change, conference):
    do(client, address(conference, "terms", "student"), name="Students", max_per_order=1)
    student = row(conference).seat_types["student"]
    assert (student["name"], student["max_per_order"]) == ("Students", 1)


def test_seat_types_share_a_pool(client, may_change, conference):
    do(client, address(conference, "add-pool"), code="hall", name="Hall", capacity=15)
    for seat_type in ("standard", "student"):
        do(client, address(conference, "pools", seat_type), pools=["hall"])
    shop.order(shop.customer(), conference, 2)
    shown = row(conference)
    assert (shown.pools["hall"]["taken"], shown.pools["hall"]["available"]) == (2, 13)
    assert shown.seat_types["student"]["available"] == 13
    do(client, address(conference, "pool", "hall"), name="Great hall", capacity=12, reason="The fire brigade.")
    assert row(conference).pools["hall"]["available"] == 10
    do(client, address(conference, "pools", "student"), pools=[])
    assert row(conference).seat_types["student"]["available"] == 20


def test_seats_are_added_on_the_terms_that_they_have(client, may_change, conference):
    url = address(conference, "add-seats")
    seats = {"code": "standard", "name": "Standard", "price": "99.50", "capacity": 5, "max_per_order": 10}
    differs = do(client, url, **seats | {"price": "1.00"})
    assert "seat-type-differs" in differs.context["form"].errors["code"][0]
    form = fill_in(client, url, **seats)
    for _ in range(2):
        client.post(url, form)
    assert row(conference).seat_types["standard"]["available"] == 105


def test_a_hold_that_somebody_else_has_released_is_gone(client, may_change, conference):
    do(client, address(conference, "hold", "standard"), quantity=3, label="Speakers", reason="Free entry.")
    (hold_id,) = row(conference).holds
    form = fill_in(client, address(conference, "release", hold_id))
    do(client, address(conference, "release", hold_id))
    assert said(client.post(address(conference, "release", hold_id), form, follow=True)) == [
        "That is not there any more."
    ]


def test_seats_are_held_and_released(client, may_change, conference):
    do(client, address(conference, "hold", "standard"), quantity=3, label="Speakers", reason="Free entry.")
    (hold_id,) = row(conference).holds
    assert "Speakers" in text(client.get(page(conference)))
    too_many = do(client, address(conference, "release", hold_id), quantity=4)
    assert "Speakers has 3 seats." in too_many.context["form"].errors["quantity"][0]
    do(client, address(conference, "release", hold_id), quantity=1)
    assert row(conference).seat_types["standard"]["held"] == 2
    do(client, address(conference, "release", hold_id))
    assert row(conference).holds == {}
    gone = client.get(address(conference, "release", hold_id), follow=True)
    assert said(gone) == ["That is not there any more."]


def test_who_saw_other_terms_is_shown_those_of_now_and_asked_again(client, may_change, conference):
    url = address(conference, "capacity", "standard")
    form = fill_in(client, url, capacity=90, reason="Smaller hall.")
    shop.order(shop.customer(), conference)
    dispatch(RenameConference(conference_id=conference, name="DjangoCon"))
    stale = client.post(url, form)
    assert "conference-changed" in text(stale)
    assert row(conference).seat_types["standard"]["capacity"] == 100
    again = stale.context["form"]
    client.post(url, {name: again[name].value() for name in again.fields})
    assert row(conference).seat_types["standard"]["capacity"] == 90


def test_orders_make_no_page_stale(client, may_change, conference):
    url = address(conference, "capacity", "standard")
    form = fill_in(client, url, capacity=90, reason="Smaller hall.")
    shop.pay(shop.order(shop.customer(), conference))
    assert client.post(url, form).status_code == 302
    assert row(conference).seat_types["standard"]["capacity"] == 90


def test_a_form_that_is_sent_twice_is_carried_out_once(client, may_change, conference):
    url = address(conference, "hold", "standard")
    form = fill_in(client, url, quantity=3, label="Speakers", reason="Free entry.")
    first, second = (client.post(url, form, follow=True) for _ in range(2))
    assert (said(first), said(second)) == (["The seats are held."], ["This was done already."])
    assert row(conference).seat_types["standard"]["held"] == 3


def test_a_row_that_was_not_rebuilt_can_be_changed_too(client, may_change, conference):
    old = {"name": "Standard", "price": {"amount": "99.50", "currency": "EUR"}, "max_per_order": 10}
    ConferenceSummary.objects.update(
        terms_version=None, seat_types={"standard": {"code": "standard", **old, "capacity": 100, "available": 98}}
    )
    assert "98 of 100 left" in text(client.get(page(conference)))
    do(client, address(conference, "capacity", "standard"), capacity=99, reason="Smaller hall.")
    assert row(conference).seat_types["standard"]["available"] == 97


def test_who_may_only_look_changes_nothing(client, staff, conference):
    staff(VIEW)
    assert client.get(page(conference)).context["may_act"] is False
    for url in (address(conference, "rename"), address(conference, "price", "standard")):
        assert (client.get(url).status_code, client.post(url).status_code) == (403, 403)
    assert repository.get(ConferenceSeats, conference).version == 3


def test_what_is_not_there_is_not_found(client, may_change, conference):
    for url in (address(conference, "dance"), address(new_id(), "rename")):
        assert client.get(url).status_code == 404, url
    for url in (address(conference, "price", "throne"), address(conference, "price")):
        assert client.get(url).status_code == 302, url


def test_a_cancelled_conference_offers_nothing(client, may_change, conference):
    dispatch(CancelConference(conference_id=conference, reason="The hall has burnt down."))
    assert not client.get(page(conference)).context["may_act"]
    refused = do(client, address(conference, "rename"), name="DjangoCon")
    assert "conference-cancelled" in text(refused)


def test_who_may_change_a_conference_may_not_cancel_it(client, may_change, conference):
    assert client.get(address(conference, "cancel")).status_code == 403
    assert not client.get(page(conference)).context["may_cancel"]


def test_a_conference_is_cancelled_by_who_may_and_types_its_name(client, staff, conference):
    staff(VIEW, CANCEL)
    paid = shop.order(shop.customer(), conference)
    shop.pay(paid)
    facts = dict(client.get(address(conference, "cancel")).context["form"].facts())
    assert facts == {"Orders": "1", "Goes back": "99.50 EUR"}
    assert do(client, address(conference, "cancel"), reason="Fire.", name="Pycon").context["form"].errors["name"]
    do(client, address(conference, "cancel"), reason="Fire.", name="PyCon")
    bring_to_rest()
    assert OrderSummary.objects.get(pk=paid).status == "refunded"
    assert "so are its orders" in text(client.get(page(conference)))


def test_the_page_of_a_cancelled_conference_says_what_is_left_to_do(client, staff, conference):
    staff(VIEW)
    fails, stands = (shop.order(shop.customer(), conference) for _ in range(2))
    shop.pay(fails, reference="NOREFUND-1")
    dispatch(CancelConference(conference_id=conference, reason="Fire."))
    bring_to_rest()
    OrderSummary.objects.filter(pk=stands).update(status="awaiting_payment")
    shown = text(client.get(page(conference)))
    assert "1 of 2 orders still stand" in shown
    assert "1 refund failed" in shown


def timeline(client, conference):
    return client.get(page(conference)).context["timeline"]


def test_the_page_tells_what_was_changed_by_whom_and_when_there(client, may_change, conference):
    do(client, address(conference, "price", "standard"), price="89.50")
    told = timeline(client, conference)
    assert [entry.words for entry in told][1:] == [
        "Standard was added: 100 seats at 99.50 EUR, 1 to 10 in an order.",
        "Student was added: 20 seats at 99.50 EUR, 1 to 2 in an order.",
        "Standard costs 89.50 EUR instead of 99.50 EUR.",
    ]
    assert told[-1].who == "ada"
    there = f"{told[-1].at.astimezone(ZoneInfo('Europe/Berlin')):%H:%M:%S} Europe/Berlin"
    assert there in text(client.get(page(conference)))


def test_the_orders_of_a_conference_do_not_hide_its_changes(client, may_change, conference):
    shop.order(shop.customer(), conference)
    bring_to_rest()
    assert StoredEvent.objects.filter(stream_id=conference, type="seats.reserved").exists()
    assert "seats.reserved" not in {entry.type for entry in timeline(client, conference)}
    assert "What orders took and gave back is told on their own pages" in text(client.get(page(conference)))


def test_what_only_newer_code_can_read_of_it_is_no_fault_of_the_page(client, may_change, conference, monkeypatch):
    version = store.version_of(conference)
    with monkeypatch.context() as newer:
        newer.setattr(ConferenceRenamed, "schema", ConferenceRenamed.schema + 1)
        renamed = ConferenceRenamed(conference_id=conference, name="EuroPython")
        store.append(store.Changes(stream_id=conference, category="conference", expected=version, events=[renamed]))
    answer = client.get(page(conference))
    assert (answer.status_code, said(answer)) == (
        200,
        ["A newer version of this program has recorded what this one can't read."],
    )
