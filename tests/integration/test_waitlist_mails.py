"""The mails to those who wait for seats, from the event to a mail server."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from eventstore import repository
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.operations.base import perform
from eventstore.subscriptions.registry import registry
from ordering import conf
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    CancelConference,
    ChangeSalesWindow,
    CloseSales,
    MoveConference,
    RenameConference,
    ReopenSales,
)
from ordering.domain.order import CancelOrder, Order
from ordering.domain.seats import Line
from ordering.domain.waitlist import (
    AcceptOffer,
    DeclineOffer,
    JoinWaitlist,
    LeaveWaitlist,
    Leaving,
    Waitlist,
    waitlist_id_of,
)
from ordering.effects.waitlist import send_joined, send_left, send_offer, send_offer_lapsed
from ordering.models import WaitlistEntry
from ordering.pages.links import waitlist_token, waitlist_url
from ordering.processes.waitlist import Waiting
from sagas.effects import delivery
from sagas.models import Delivery, Timer
from sagas.operations import SendCopy
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.processes import text

pytestmark = pytest.mark.usefixtures("clean")

ALL = (send_joined, send_offer, send_offer_lapsed, send_left)


class Hall:
    """A conference of one seat, which an order has."""

    def __init__(self):
        self.conference = shop.conference_on_sale(1)
        self.waitlist = waitlist_id_of(self.conference)
        self.order = shop.order(shop.customer(), self.conference)

    def refuse(self):
        """A customer's order is refused: the id of the entry that comes of it is that of the order."""
        order = shop.order(shop.customer("Grace Hopper"), self.conference)
        bring_to_rest()
        return order

    def join(self):
        entry = new_id()
        dispatch(
            JoinWaitlist(
                waitlist_id=self.waitlist,
                conference_id=self.conference,
                entry_id=entry,
                customer_id=shop.customer("Grace Hopper"),
                lines=(Line("standard", 1),),
            )
        )
        return entry

    def free(self, *, deliver=True):
        dispatch(CancelOrder(order_id=self.order))
        bring_to_rest(deliver=deliver)

    def entry(self, entry_id):
        return repository.get(Waitlist, self.waitlist).entries[entry_id]

    def do(self, command, entry_id, **more):
        dispatch(command(waitlist_id=self.waitlist, entry_id=entry_id, **more))
        bring_to_rest()


@pytest.fixture
def hall():
    return Hall()


def subjects(mails):
    return [mail["Subject"] for mail in mails if mail["Subject"].startswith("PyCon")]


def test_who_is_refused_is_told_so_and_that_they_wait_by_another_mail(hall, mails):
    entry = hall.refuse()
    number = repository.get(Order, entry).number
    refused, joined = (mail for mail in mails if "no seats left for" in text(mail) or "no seats" in mail["Subject"])
    assert refused["Subject"] == f"Your order {number}: no seats"
    assert joined["Subject"] == "PyCon: you are on the waitlist"
    for kind in ("plain", "html"):
        assert f"there were no seats left for your order {number}." in text(joined, kind)
        assert waitlist_url(hall.conference, entry) in text(joined, kind)
    assert "  1 x Standard" in text(joined).splitlines()
    assert "Grace Hopper" not in joined.as_string()


def test_who_joins_by_wish_is_told_of_no_order(hall, mails):
    entry = hall.join()
    bring_to_rest()
    (joined,) = (mail for mail in mails if mail["Subject"] == "PyCon: you are on the waitlist")
    assert "order BX-" not in text(joined)
    assert waitlist_url(hall.conference, entry) in text(joined).splitlines()


def test_an_offer_is_told_with_its_seats_its_price_its_end_and_its_page(hall, mails):
    dispatch(
        MoveConference(
            conference_id=hall.conference,
            starts_at=timezone.now() + timedelta(days=30),
            time_zone="Pacific/Kiritimati",
            place="",
        )
    )
    entry = hall.refuse()
    hall.free()
    (offer,) = (mail for mail in mails if "seats for you" in mail["Subject"])
    until = hall.entry(entry).until + timedelta(hours=14)  # which is Kiritimati's offset, all the year
    told = f"{until:%H:%M} Pacific/Kiritimati"
    assert told in offer["Subject"]
    for kind in ("plain", "html"):
        assert told in text(offer, kind)
        assert "99.50 EUR" in text(offer, kind)
        assert waitlist_url(hall.conference, entry) in text(offer, kind)


def test_each_is_told_of_what_became_of_the_offer_and_the_next_of_theirs(hall, mails):
    hall.refuse(), hall.refuse()
    hall.free()
    let_pass(conf.offered_for())
    bring_to_rest()
    joined, joined_too, offer, *others = subjects(mails)
    assert joined == joined_too == "PyCon: you are on the waitlist"
    assert "seats for you" in offer
    assert sorted(each[:22] for each in others) == ["PyCon: seats for you u", "PyCon: your offer is o"]
    (lapsed,) = (mail for mail in mails if "is over" in mail["Subject"])
    assert "join the waitlist again, at its end" in text(lapsed)


def test_who_lets_an_offer_pass_is_not_told_to_join_again_once_sales_are_closed(hall, mails):
    hall.refuse()
    hall.free()
    dispatch(CloseSales(conference_id=hall.conference, reason="The hall is in doubt."))
    let_pass(conf.offered_for())
    bring_to_rest()
    (lapsed,) = (mail for mail in mails if "is over" in mail["Subject"])
    assert "join the waitlist again" not in text(lapsed)
    assert "not on sale any more" in text(lapsed)


@pytest.mark.parametrize("command", [AcceptOffer, DeclineOffer, LeaveWaitlist])
def test_who_answers_by_themselves_is_told_nothing_more_of_the_waitlist(hall, mails, command):
    entry = hall.refuse()
    hall.free()
    hall.do(command, entry)
    assert len(subjects(mails)) == 2
    (told,) = {mail["To"] for mail in mails if mail["Subject"].startswith("PyCon")}
    asked = [mail for mail in mails if "99.50 EUR to pay" in mail["Subject"] and mail["To"] == told]
    assert len(asked) == (command is AcceptOffer)


def test_all_who_waited_are_told_that_the_conference_is_cancelled(hall, mails):
    hall.refuse(), hall.refuse()
    dispatch(CancelConference(conference_id=hall.conference, reason="The hall has burnt down."))
    bring_to_rest()
    told = [mail for mail in mails if mail["Subject"] == "PyCon is cancelled"]
    assert len({mail["To"] for mail in told}) == len(told) == 2
    assert all("Hello," in text(mail) for mail in told)


def end_of_sales(hall, closes_at):
    opens_at = timezone.now() - timedelta(days=2)
    dispatch(ChangeSalesWindow(conference_id=hall.conference, opens_at=opens_at, closes_at=closes_at))
    bring_to_rest()


def test_all_who_wait_when_sales_end_are_told_once_also_when_the_end_was_moved(hall, mails, client):
    entry, _ = hall.refuse(), hall.join()
    bring_to_rest()
    (timer,) = Timer.objects.filter(saga=Waiting.name, status="waiting")
    assert timer.due_at == repository.get(ConferenceSeats, hall.conference).closes_at
    end_of_sales(hall, timezone.now() + timedelta(days=1))
    closes_at = timezone.now() + timedelta(seconds=2)
    end_of_sales(hall, closes_at)
    told = len(subjects(mails))
    assert told == 2 or timezone.now() >= closes_at
    time.sleep(max(0, (closes_at - timezone.now()).total_seconds()))
    bring_to_rest()
    bring_to_rest()
    assert subjects(mails)[2:] == 2 * ["PyCon: sales have ended"]
    row = WaitlistEntry.objects.get(pk=entry)
    assert (row.status, row.reason) == ("left", "sales-ended")
    page = client.get(f"/waitlist/{waitlist_token(hall.conference, entry)}")
    assert "are not on sale any more" in page.content.decode()


def test_who_waits_when_staff_close_sales_is_told_nothing_and_waits_on_when_they_are_open_again(hall, mails):
    entry = hall.refuse()
    dispatch(CloseSales(conference_id=hall.conference, reason="The hall is in doubt."))
    bring_to_rest()
    assert len(subjects(mails)) == 1
    dispatch(ReopenSales(conference_id=hall.conference))
    hall.free()
    assert hall.entry(entry).until


def test_who_is_taken_off_the_list_by_staff_is_told_so(hall, mails):
    hall.do(LeaveWaitlist, hall.refuse(), reason=Leaving.STAFF, note="Twice on the list.")
    assert subjects(mails)[1:] == ["PyCon: you are off the waitlist"]


@pytest.mark.parametrize(("end", "reason"), [(CloseSales, "not on sale"), (CancelConference, "cancelled")])
def test_who_accepted_in_the_last_moment_and_could_not_order_any_more_is_told_so_once(hall, mails, client, end, reason):
    entry = hall.refuse()
    hall.free()
    dispatch(AcceptOffer(waitlist_id=hall.waitlist, entry_id=entry))
    dispatch(end(conference_id=hall.conference, reason="The hall is in doubt."))
    bring_to_rest()
    (told,) = (mail for mail in mails if mail["Subject"] == "PyCon: your seats could not be ordered")
    assert f"could not be ordered any more, since {'it is' if reason == 'cancelled' else 'seats are'} {reason}" in text(
        told
    )
    assert len(subjects(mails)) == 3
    assert not repository.get(ConferenceSeats, hall.conference).reserved
    row = WaitlistEntry.objects.get(pk=entry)
    assert (row.status, row.reason, row.order_id) == ("left", "not-ordered", None)
    page = client.get(f"/waitlist/{waitlist_token(hall.conference, entry)}")
    assert (page.status_code, "could not be ordered any more" in page.content.decode()) == (200, True)
    shown = callers.staff().get(f"/waitlist/{entry}").json()
    assert (shown["status"], shown["reason"], shown["order_id"]) == ("left", "not-ordered", None)


def test_nobody_is_told_of_an_offer_that_is_over_by_then(hall, mails, settings):
    settings.WAITLIST_OFFER_HOURS = 1e-9
    hall.refuse()
    hall.free()
    assert Delivery.objects.get(effect=send_offer.name).status == "done"
    assert subjects(mails) == ["PyCon: you are on the waitlist", "PyCon: your offer is over"]


def test_nobody_is_told_to_wait_once_sales_are_over(hall, mails):
    hall.join()
    bring_to_rest(deliver=False)
    now = timezone.now()
    opens_at, closes_at = now - timedelta(days=2), now - timedelta(seconds=1)
    dispatch(ChangeSalesWindow(conference_id=hall.conference, opens_at=opens_at, closes_at=closes_at))
    bring_to_rest()
    assert Delivery.objects.get(effect=send_joined.name).status == "done"
    assert subjects(mails) == ["PyCon: sales have ended"]


def test_a_mail_that_is_sent_late_tells_the_names_of_then_and_a_copy_those_of_now(hall, mails):
    hall.join()
    bring_to_rest(deliver=False)
    dispatch(RenameConference(conference_id=hall.conference, name="EuroPython"))
    assert delivery.deliver_one(send_joined)
    row = Delivery.objects.get(effect=send_joined.name)
    perform(SendCopy(target=send_joined.name, delivery=row.pk), by="anna", reason="it was lost")
    assert delivery.deliver_one(send_joined)
    assert [mail["Subject"].partition(":")[0] for mail in mails] == ["PyCon", "EuroPython"]
    assert len({mail["Message-ID"] for mail in mails}) == 2


def test_each_mail_is_sent_once_and_recorded(hall, mails):
    hall.refuse(), hall.refuse()
    hall.free()
    let_pass(conf.offered_for())
    bring_to_rest()
    bring_to_rest()
    told = StoredEvent.objects.filter(type="mail.sent").values_list("data__message_id", flat=True)
    assert sorted(told) == sorted(mail["Message-ID"] for mail in mails)
    assert len({*told}) == len(mails)


def test_nobody_is_told_of_a_waitlist_from_before_there_were_these_mails(hall, mails):
    names = [effect.name for effect in ALL]
    hall.refuse(), hall.refuse()
    mails.clear()
    hall.free(deliver=False)
    Delivery.objects.filter(effect__in=names).delete()
    SubscriberRow.objects.filter(subscriber__in=names).delete()
    registry.forget_rows()
    bring_to_rest()
    assert not subjects(mails)
