"""What must always hold is watched: an event that breaks it is named in an incident, and no sale breaks it."""

from contextlib import closing
from decimal import Decimal
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import Incident, Notification, OperatorAction, ParkedEvent, SubscriberRow
from eventstore.monitoring import incidents, notifications
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Resume, Rewind
from eventstore.subscriptions import feeding, retry
from eventstore.subscriptions.registry import registry
from eventstore.testing.subscribers import given
from ordering.domain.conference_changes import AddPool, AssignPools, CancelConference, ChangeCapacity, HoldSeats, Pool
from ordering.domain.finance import PaymentReceived, RefundSettled, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder, OrderConfirmed, ReopenOrder
from ordering.domain.order_changes import ChangeQuantities
from ordering.domain.payment import AcceptPayment, AssignPayment, KeepUnmatched, unmatched_payment_id
from ordering.domain.seats import Line, PricedLine, SeatsReserved, SeatsSold
from ordering.domain.values import Money, payment_id_of
from ordering.models import JournalEntry
from ordering.watches.books import Books
from ordering.watches.seats import SeatsWithinCapacity
from projections.rebuild import builder, generations
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

TRIAL_BALANCE = "/admin/ordering/journalentry/trial-balance/"


def follow():
    """As workers do."""
    feeding.catch_up([*registry])


def reserve(conference, seats, code="standard"):
    """What the aggregate would never write."""
    lines = (PricedLine(code, seats, shop.PRICE),)
    of_it = {"conference_id": conference, "order_id": uuid4()}
    (told,) = given(conference, SeatsReserved(**of_it, lines=lines, total=shop.PRICE * seats), category="conference")
    return told


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create_superuser("root"))
    return client


def names(incident, recorded):
    """Whether it says which event it was, and where."""
    where = f"since {recorded.type} at position {recorded.position}, version {recorded.version} of the stream "
    return f"{where}{recorded.stream_id}" in incident.text


def assert_shown(staff, incident, recorded):
    for page in ("/admin/eventstore/incident/", f"/admin/eventstore/incident/{incident.pk}/change/"):
        shown = staff.get(page).content.decode()
        assert incident.about in shown
        assert f"{recorded.type} at position {recorded.position}" in shown
        assert str(recorded.stream_id) in shown


def test_a_seat_type_that_is_oversold_is_an_incident_that_names_the_event(staff, settings):
    settings.ADMINS = [("Staff", "staff@example.org")]
    conference = shop.conference_on_sale(capacity=3)
    shop.order(shop.customer(), conference, 2)
    follow()
    assert not Incident.objects.exists()
    broke = reserve(conference, 2)
    reserve(conference, 1)
    follow()
    incident = Incident.objects.get()
    assert (incident.kind, incident.about) == ("oversold", f"seat type standard of conference {conference}")
    assert names(incident, broke)
    assert incident.text.endswith("4 seats are given out, and there are 3")
    assert incident.text in staff.get("/admin/").content.decode()
    assert_shown(staff, incident, broke)
    assert Notification.objects.filter(incident=incident, ended=False).count() == 1
    incidents.check_health()
    incident.refresh_from_db()
    assert incident.ended_at is None


def test_seats_that_are_enough_again_end_the_incident(settings):
    settings.ADMINS = [("Staff", "staff@example.org")]
    conference = shop.conference_on_sale(capacity=3)
    reserve(conference, 4)
    follow()
    assert Incident.objects.get().ended_at is None
    dispatch(ChangeCapacity(conference_id=conference, seat_type="standard", capacity=4))
    follow()
    assert Incident.objects.get().ended_at
    assert sorted(Notification.objects.values_list("ended", flat=True)) == [False, True]
    notifications.send_due()
    again = reserve(conference, 1)
    follow()
    assert names(Incident.objects.get(ended_at=None), again)


def test_seats_that_are_sold_to_nobody_who_had_them_reserved_count():
    conference = shop.conference_on_sale(capacity=3)
    shop.order(shop.customer(), conference, 3)
    lines = (Line("standard", 1),)
    (broke,) = given(
        conference, SeatsSold(conference_id=conference, order_id=uuid4(), lines=lines), category="conference"
    )
    follow()
    assert names(Incident.objects.get(), broke)


def test_a_pool_that_is_oversold_is_an_incident_though_its_seat_types_are_not():
    conference = shop.conference_on_sale(capacity=10)
    dispatch(AddPool(conference_id=conference, pool=Pool("hall", "Hall", 5)))
    dispatch(AssignPools(conference_id=conference, seat_type="standard", pools=("hall",)))
    dispatch(
        HoldSeats(
            conference_id=conference,
            hold_id=uuid4(),
            seat_type="standard",
            quantity=2,
            label="Press",
            reason="They come.",
        )
    )
    shop.order(shop.customer(), conference, 3)
    broke = reserve(conference, 1)
    follow()
    incident = Incident.objects.get()
    assert incident.about == f"pool hall of conference {conference}"
    assert names(incident, broke)


def test_an_order_that_is_confirmed_twice_is_not_what_the_books_say(staff):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    follow()
    assert not Incident.objects.exists()
    (broke,) = given(order, OrderConfirmed(order_id=order), category="order")
    follow()
    incident = Incident.objects.get()
    assert (incident.kind, incident.about) == ("unbalanced", f"money in EUR, of account {account_id_of(order)}")
    assert names(incident, broke)
    assert "revenue: -199.0000 instead of -99.50" in incident.text
    assert_shown(staff, incident, broke)


def test_more_that_goes_back_than_was_received_is_an_incident():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    told = {"account_id": account_id_of(order), "order_id": order, "payment_id": payment_id_of(order)}
    (broke,) = given(
        account_id_of(order),
        RefundSettled(
            **told,
            refund_id=uuid4(),
            provider="sandbox",
            reference="REF",
            amount=shop.PRICE * 2,
            refund_reference="",
            by_hand=False,
        ),
        category="finance",
    )
    follow()
    incident = Incident.objects.get()
    assert names(incident, broke)
    assert "99.50 more went back than was received" in incident.text


def test_money_of_another_currency_is_judged_by_itself():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    account, francs = account_id_of(order), Money(Decimal(7), "CHF")
    received = PaymentReceived(
        account_id=account,
        order_id=order,
        payment_id=payment_id_of(order),
        provider="sandbox",
        reference="CHF-1",
        amount=francs,
    )
    (broke,) = given(account, received, category="finance")

    feeding.catch_up([registry["finance-accounts"], registry["journal"]])
    JournalEntry.objects.filter(currency="CHF").update(currency="EUR")
    follow()
    assert {each.about for each in Incident.objects.all()} == {
        f"money in {currency}, of account {account}" for currency in ("EUR", "CHF")
    }
    assert all(names(each, broke) for each in Incident.objects.all())


def test_entries_that_do_not_balance_are_an_incident_that_names_their_event(staff):
    """No event makes such entries: one of them is lost before they are watched."""
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    feeding.catch_up([registry["finance-accounts"], registry["journal"]])
    (broke,) = store.read_stream(account_id_of(order))
    JournalEntry.objects.get(position=broke.position, account="provider").delete()
    follow()
    incident = Incident.objects.get(about=f"trial balance in EUR, of account {account_id_of(order)}")
    assert names(incident, broke)
    assert_shown(staff, incident, broke)


def test_whatever_a_sale_does_breaks_nothing_and_a_rebuild_and_a_rewind_find_the_same():
    conference = shop.conference_on_sale(capacity=7)
    orders = [shop.order(shop.customer(), conference) for _ in range(4)]
    for order in orders[:3]:
        shop.pay(order)
    smaller = shop.order(shop.customer(), conference, 2)
    shop.pay(smaller, 2)
    dispatch(ChangeQuantities(order_id=smaller, lines=(Line("standard", 1),)))
    shop.pay(orders[0], reference="TWICE")
    dispatch(AcceptPayment(payment_id=payment_id_of(orders[1]), amount=Money(Decimal(5), "CHF"), reference="CHF"))
    dispatch(CancelOrder(order_id=orders[1], keep=Money(Decimal(10), "EUR")))
    dispatch(AcceptPayment(payment_id=payment_id_of(orders[3]), amount=shop.PRICE, reference="NOREFUND-1"))
    unknown = unmatched_payment_id("bank", "tx-9")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="tx-9", amount=shop.PRICE))
    late = shop.order(shop.customer(), conference)
    dispatch(ExpireOrder(order_id=late))
    dispatch(AssignPayment(payment_id=unknown, order_id=late))
    bring_to_rest()
    dispatch(ReopenOrder(order_id=orders[1], reason="By mistake."))
    dispatch(CancelConference(conference_id=conference, reason="No hall."))
    bring_to_rest()
    assert not Incident.objects.exists()
    broke = reserve(conference, 9)
    follow()
    assert names(Incident.objects.get(), broke)
    builder.complete(generations.rebuild("journal", requested_by="test"))
    for name in ("watch.seats", "watch.books"):
        assert SubscriberRow.objects.get(name=name).checkpoint == store.head()
        for asked in (Pause(target=name), Rewind(target=name, to=0), Resume(target=name)):
            perform(asked, by="ada", reason="Look again.")
    for watch in (SeatsWithinCapacity(), Books()):
        registry.unregister(registry[watch.name])
        registry.register(watch)
    follow()
    assert names(Incident.objects.get(), broke)


def test_staff_resolve_what_was_found_and_are_told_by_whom_and_why(staff, settings):
    settings.ADMINS = [("Staff", "staff@example.org")]
    conference = shop.conference_on_sale(capacity=1)
    reserve(conference, 2)
    follow()
    incident = Incident.objects.get()
    chosen = {"action": "resolve_selected", "_selected_action": [incident.pk]}
    assert "seat type standard" in staff.post("/admin/eventstore/incident/", chosen).content.decode()
    said = {**chosen, "confirmed": "yes", "reason": "The hall has a gallery."}
    staff.post("/admin/eventstore/incident/", said)
    incident.refresh_from_db()
    assert incident.ended_at
    assert Notification.objects.filter(incident=incident, ended=True).exists()
    assert OperatorAction.objects.get().reason == "The hall has a gallery."
    again = staff.post("/admin/eventstore/incident/", said, follow=True).content.decode()
    assert "None of these is for staff to resolve" in again


def test_an_incident_of_what_is_watched_is_not_resolved_by_who_may_not(client):
    viewer = User.objects.create_user("viewer", is_staff=True)
    client.force_login(viewer)
    reserve(shop.conference_on_sale(capacity=1), 2)
    follow()
    chosen = {"action": "resolve_selected", "_selected_action": [Incident.objects.get().pk], "confirmed": "yes"}
    assert client.post("/admin/eventstore/incident/", {**chosen, "reason": "I say so."}).status_code == 403
    assert Incident.objects.get().ended_at is None


def test_a_watch_is_fed_by_workers_and_by_no_request():
    conference = shop.conference_on_sale()
    shop.pay(shop.order(shop.customer(), conference))
    assert {*SubscriberRow.objects.filter(name__startswith="watch.").values_list("mode", "checkpoint")} == {
        ("async", 0)
    }


@pytest.fixture
def refused_revenue():
    """The journal can't book what is earned, until it is mended."""
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(
            "ALTER TABLE ordering_journalentry ADD CONSTRAINT no_revenue CHECK (account <> 'revenue') NOT VALID"
        )
        mend = "ALTER TABLE ordering_journalentry DROP CONSTRAINT IF EXISTS no_revenue"
        yield lambda: owner.execute(mend)
        owner.execute(mend)


def retried():
    keys = ParkedEvent.objects.filter(subscriber="journal").exclude(error="").values_list("key", flat=True)
    retry.retry_keys("journal", [*keys])


def test_what_the_journal_has_parked_is_one_incident_and_not_that_the_books_are_wrong(staff, refused_revenue):
    conference = shop.conference_on_sale()
    order = shop.order(shop.customer(), conference)
    shop.pay(order)
    follow()
    assert ParkedEvent.objects.filter(subscriber="journal").exists()
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    ParkedEvent.objects.filter(subscriber="journal").update(retry_at=None)
    incidents.check_health()
    assert [*Incident.objects.values_list("kind", "about")] == [("parked", "journal")]
    assert "could not be booked, so what" in staff.get(TRIAL_BALANCE).content.decode()
    call_command("watches", "list", stdout=(listed := StringIO()))
    assert "parked in journal" in listed.getvalue()

    refused_revenue()
    retried()
    follow()
    assert not ParkedEvent.objects.exists()
    assert "could not be booked" not in staff.get(TRIAL_BALANCE).content.decode()


def test_once_nothing_is_parked_the_next_event_of_the_account_is_judged_with_all_before(refused_revenue):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    follow()
    refused_revenue()
    retried()
    JournalEntry.objects.get(account="revenue").delete()
    assert not Incident.objects.filter(kind="unbalanced").exists()
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert {each.kind for each in Incident.objects.all()} == {"unbalanced"}
