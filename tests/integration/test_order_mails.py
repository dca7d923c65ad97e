"""The mails about an order, from the event to a mail server."""

from datetime import timedelta
from email.message import EmailMessage

import pytest
from icalendar import Calendar

from eventstore.commands import dispatch
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.operations.base import perform
from eventstore.subscriptions.registry import registry
from eventstore.testing import only_handlers
from ordering.domain.conference_changes import ChangeMailNote, RenameConference
from ordering.domain.finance import RequestRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder, OrderReminderRequested, ReopenOrder, RequestReminder
from ordering.domain.payment import RequestPayment, further_payment_id
from ordering.domain.values import payment_id_of
from ordering.effects.order import send_expiry, send_refusal, send_request
from ordering.pages.links import sandbox_path
from sagas.effects import delivery
from sagas.models import Delivery
from sagas.operations import SendCopy
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.processes import text

pytestmark = pytest.mark.usefixtures("clean")


def about(mails: list[EmailMessage]) -> list[str]:
    """What the mails say of an order in their subjects, without its number."""
    return [" ".join(mail["Subject"].split()[3:]) for mail in mails if "BX-" in mail["Subject"]]


def test_a_sale_that_goes_well_is_told_with_how_to_pay_and_then_with_a_calendar(mails):
    conference = shop.conference_on_sale()
    dispatch(ChangeMailNote(conference_id=conference, note="The doors open at 8."))
    order = shop.order(shop.customer(), conference, 2)
    bring_to_rest()
    shop.pay(order, 2)
    bring_to_rest()
    assert about(mails) == ["199.00 EUR to pay", "is confirmed"]
    asked, confirmed = mails[1:]
    assert sandbox_path(payment_id_of(order)) in text(asked)
    for mail in (asked, confirmed):
        assert "The doors open at 8." in text(mail)
        assert "2 x Standard" in text(mail)
        assert "Lovelace" not in mail.as_string()
    (file,) = confirmed.iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("text/calendar", "conference.ics")
    (entry,) = Calendar.from_ical(file.get_content()).events
    assert (entry["SUMMARY"], entry["UID"]) == ("PyCon", f"{order}@boxoffice.localhost")
    told = StoredEvent.objects.filter(type="mail.sent").values_list("data__message_id", flat=True)
    assert sorted(told) == sorted(mail["Message-ID"] for mail in mails)


def test_an_order_that_expires_is_told_to_have(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    shop.pay(order, 1)
    let_pass(timedelta(hours=1))
    bring_to_rest()
    said = [
        "199.00 EUR to pay",
        "99.50 EUR still due",
        "has expired",
        "99.50 EUR on its way back",
        "99.50 EUR sent back",
    ]
    assert sorted(about(mails)) == sorted(said)
    (expired,) = (mail for mail in mails if "expired" in mail["Subject"])
    assert "What you have paid, 99.50 EUR, goes back to you." in text(expired)


def test_an_order_that_was_reopened_unpaid_is_told_how_to_pay_and_of_no_money(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(ExpireOrder(order_id=order))
    dispatch(ReopenOrder(order_id=order, reason="The mail was lost."))
    bring_to_rest()
    assert about(mails).count("99.50 EUR to pay") == 2
    (reopened,) = (mail for mail in mails if "is open again" in text(mail))
    assert sandbox_path(further_payment_id(order, 1)) in text(reopened)
    assert "arrived" not in text(reopened)


def test_an_order_without_seats_is_told_so_and_nobody_is_asked_to_pay(mails):
    shop.order(shop.customer(), shop.conference_on_sale(capacity=1), 2)
    bring_to_rest()
    assert about(mails) == ["no seats"]


def test_an_order_that_costs_nothing_is_confirmed_and_nobody_is_asked_to_pay(mails):
    shop.order(shop.customer(), shop.conference_on_sale(price=shop.PRICE * 0))
    bring_to_rest()
    assert about(mails) == ["is confirmed"]


def test_a_refund_that_fails_is_not_told_and_neither_is_that_it_is_tried_again(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order, reference="NOREFUND-1")
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert sorted(about(mails)) == sorted(
        ["99.50 EUR to pay", "is confirmed", "is cancelled", "99.50 EUR on its way back"]
    )


def test_nobody_is_asked_to_pay_for_an_order_that_was_cancelled_just_before(mails):
    with only_handlers("order-summaries"):
        order = shop.order(shop.customer(), shop.conference_on_sale())
        dispatch(CancelOrder(order_id=order))
        dispatch(RequestPayment(payment_id=payment_id_of(order), order_id=order, amount=shop.PRICE, provider="sandbox"))
    bring_to_rest()
    assert Delivery.objects.get(effect=send_request.name).status == "done"
    assert about(mails) == ["is cancelled"]


def test_only_an_order_that_waits_for_money_is_reminded_of(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(RequestReminder(order_id=order))
    shop.pay(order)
    dispatch(RequestReminder(order_id=order))
    bring_to_rest()
    assert about(mails).count("99.50 EUR still to pay") == 1
    assert StoredEvent.objects.filter(type=OrderReminderRequested.stored).count() == 1


def test_a_reminder_says_how_to_pay_as_the_mail_before_it_did(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    dispatch(RequestReminder(order_id=order))
    bring_to_rest()
    links = [line for mail in mails for line in text(mail).splitlines() if "/sandbox/" in line]
    assert (len(mails), len(links), len(set(links))) == (3, 2, 1)


def test_a_reminder_says_how_to_pay_what_was_asked_for_last(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    shop.pay(order, 1)
    bring_to_rest()
    dispatch(RequestReminder(order_id=order))
    bring_to_rest()
    reminder = text(next(mail for mail in mails if "still to pay" in mail["Subject"]))
    assert sandbox_path(further_payment_id(order, 1)) in reminder


def test_a_reminder_asks_for_what_is_on_its_way_back_too(mails):
    order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
    shop.pay(order, 1, reference="REF-1")
    bring_to_rest()
    favour = RequestRefund(
        account_id=account_id_of(order), provider="sandbox", reference="REF-1", amount=shop.PRICE, reason="A favour."
    )
    dispatch(favour)
    dispatch(RequestReminder(order_id=order))
    bring_to_rest()
    assert [each for each in about(mails) if "still to pay" in each] == ["199.00 EUR still to pay"]


def test_a_mail_that_is_sent_late_tells_the_names_of_then_and_a_copy_those_of_now(mails):
    conference = shop.conference_on_sale()
    shop.order(shop.customer(), conference)
    dispatch(RenameConference(conference_id=conference, name="EuroPython"))
    assert delivery.deliver_one(send_request)
    row = Delivery.objects.get(effect=send_request.name)
    perform(SendCopy(target=send_request.name, delivery=row.pk), by="anna", reason="it was lost")
    assert delivery.deliver_one(send_request)
    first, copy = map(text, mails)
    assert "PyCon" in first
    assert "EuroPython" in copy
    assert len({mail["Message-ID"] for mail in mails}) == 2


def test_nobody_is_told_of_orders_from_before_there_were_these_mails(mails):
    new = [effect.name for effect in (send_request, send_expiry, send_refusal)]
    shop.order(shop.customer(), shop.conference_on_sale(capacity=1), 2)
    dispatch(ExpireOrder(order_id=shop.order(shop.customer(), shop.conference_on_sale())))
    bring_to_rest(deliver=False)  # a busy machine leaves some of it to workers
    Delivery.objects.filter(effect__in=new).delete()
    SubscriberRow.objects.filter(subscriber__in=new).delete()
    registry.forget_rows()
    bring_to_rest()
    assert not about(mails)
    shop.order(shop.customer(), shop.conference_on_sale())
    bring_to_rest()
    assert about(mails) == ["99.50 EUR to pay"]
