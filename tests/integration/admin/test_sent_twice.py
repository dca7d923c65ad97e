"""Every form of the admin that sends a command or asks for an operation is safe to send twice."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.contrib import admin
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import ImportRun, OperatorAction, StoredEvent, SubscriberRow
from eventstore.operations.base import performed
from eventstore.subscriptions.subscriber import Rank
from ordering.admin.acts import ActsAdmin
from ordering.domain.conference_changes import AddPool, CloseSales, HoldSeats, Pool
from ordering.domain.order import CancelOrder
from ordering.domain.payment import KeepUnmatched, unmatched_payment_id
from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSummary, FailedRefund, StatementFile
from ordering.providers.references import reference_of
from sagas.models import Delivery
from sagas.testing import bring_to_rest
from tests.integration import shop, troubles
from tests.integration.admin.reading import LEDGER, WHY, actions, said, selected, text, url
from tests.integration.troubles import WELCOME

pytestmark = pytest.mark.usefixtures("clean")

DONE_ALREADY = "This was done already."
SENDS_NO_COMMAND = {("ordersummary", "ask-provider")}
LATER = f"{timezone.now() + timedelta(days=3):%Y-%m-%dT%H:%M}"


class Scene:
    """Something to act upon, made when it is needed."""

    def conference(self):
        conference = shop.conference_on_sale()
        dispatch(AddPool(conference_id=conference, pool=Pool("hall", "Hall", 500)))
        dispatch(
            HoldSeats(
                conference_id=conference,
                hold_id=new_id(),
                seat_type="standard",
                quantity=3,
                label="Speakers",
                reason="Free entry.",
            )
        )
        bring_to_rest()
        return conference

    def closed(self):
        conference = self.conference()
        dispatch(CloseSales(conference_id=conference, reason="The hall is in doubt."))
        return conference

    def hold(self):
        conference = self.conference()
        return conference, next(iter(ConferenceSummary.objects.get(pk=conference).holds))

    def order(self):
        order = shop.order(shop.customer(), shop.conference_on_sale(), 2)
        bring_to_rest()
        return order

    def paid(self, reference="PAID"):
        order = self.order()
        shop.pay(order, 2, reference=reference)
        bring_to_rest()
        return order

    def cancelled(self):
        order = self.order()
        dispatch(CancelOrder(order_id=order))
        bring_to_rest()
        return order

    def failed(self):
        order = self.paid("NOREFUND-1")
        dispatch(CancelOrder(order_id=order))
        bring_to_rest()
        return FailedRefund.objects.get()

    def unmatched(self):
        payment = unmatched_payment_id("sandbox", "tx-9")
        dispatch(KeepUnmatched(payment_id=payment, provider="sandbox", reference="tx-9", amount=shop.PRICE * 2))
        bring_to_rest()
        return payment

    def waiting(self):
        conference = shop.conference_on_sale(1)
        shop.order(shop.customer(), conference)
        return shop.wait(shop.customer(), conference)


scene = Scene()
SEATS = {"code": "standard", "name": "Standard", "price": "99.50", "capacity": 10, "max_per_order": 10}
ACTS = {
    ("conferencesummary", "rename"): lambda: (scene.conference(), "", {"name": "DjangoCon"}),
    ("conferencesummary", "move"): lambda: (scene.conference(), "", {"place": "Gasteig"}),
    ("conferencesummary", "sales-window"): lambda: (scene.conference(), "", {"closes_at": LATER}),
    ("conferencesummary", "payment-terms"): lambda: (scene.conference(), "", {"within": 14, "unit": "days"}),
    ("conferencesummary", "cancellation"): lambda: (scene.conference(), "", {"until": "never"}),
    ("conferencesummary", "providers"): lambda: (scene.conference(), "", {"providers": ["sandbox"]}),
    ("conferencesummary", "limit-customers"): lambda: (scene.conference(), "", {"max_per_customer": 8}),
    ("conferencesummary", "close-sales"): lambda: (scene.conference(), "", WHY),
    ("conferencesummary", "open-sales"): lambda: (scene.closed(), "", {}),
    ("conferencesummary", "cancel"): lambda: (scene.conference(), "", {"name": "PyCon", **WHY}),
    ("conferencesummary", "mail-note"): lambda: (scene.conference(), "", {"note": "Doors open at 8."}),
    ("conferencesummary", "add-seats"): lambda: (scene.conference(), "", SEATS),
    ("conferencesummary", "add-pool"): lambda: (
        *(scene.conference(), ""),
        {"code": "foyer", "name": "Foyer", "capacity": 9},
    ),
    ("conferencesummary", "price"): lambda: (scene.conference(), "standard", {"price": "79.00"}),
    ("conferencesummary", "capacity"): lambda: (scene.conference(), "standard", {"capacity": 110}),
    ("conferencesummary", "terms"): lambda: (scene.conference(), "standard", {"name": "Usual"}),
    ("conferencesummary", "pools"): lambda: (scene.conference(), "standard", {"pools": ["hall"]}),
    ("conferencesummary", "hold"): lambda: (scene.conference(), "standard", {"quantity": 2, "label": "Press", **WHY}),
    ("conferencesummary", "pool"): lambda: (scene.conference(), "hall", {"capacity": 600}),
    ("conferencesummary", "release"): lambda: (*scene.hold(), {}),
    ("ordersummary", "record-payment"): lambda: (
        *(scene.order(), ""),
        {"provider": "bank-transfer", "reference": "RF12 3456"},
    ),
    ("ordersummary", "extend"): lambda: (scene.order(), "", {"expires_at": LATER, **WHY}),
    ("ordersummary", "quantities"): lambda: (scene.order(), "", {"seats-standard": 1, "agreed": "99.50 EUR", **WHY}),
    ("ordersummary", "reopen"): lambda: (scene.cancelled(), "", WHY),
    ("ordersummary", "cancel"): lambda: (scene.paid(), "", WHY),
    ("ordersummary", "status-mail"): lambda: (scene.order(), "", {}),
    ("ordersummary", "refund"): lambda: (scene.paid(), "1", {"amount": "10.00", **WHY}),
    ("ordersummary", "retry-refund"): lambda: ((row := scene.failed()).order_id, str(row.pk), {}),
    ("ordersummary", "mark-refund-made"): lambda: (
        *((row := scene.failed()).order_id, str(row.pk)),
        {"refund_reference": "cheque 7"},
    ),
    ("unmatchedmoney", "assign"): lambda: (scene.unmatched(), str(scene.order()), {}),
    ("unmatchedmoney", "send-back"): lambda: (scene.unmatched(), "", WHY),
    ("failedrefund", "retry-refund"): lambda: ((row := scene.failed()).pk, str(row.pk), {}),
    ("failedrefund", "mark-refund-made"): lambda: (
        *((row := scene.failed()).pk, str(row.pk)),
        {"refund_reference": "cheque 7"},
    ),
    ("waitlistentry", "priority"): lambda: (entry := scene.waiting(), str(entry), {"priority": 5, **WHY}),
    ("waitlistentry", "take-off"): lambda: (entry := scene.waiting(), str(entry), WHY),
}
"""By the model and the word of an act: a row to do it to, the key, and what is filled in."""


@pytest.fixture
def boss(staff):
    return staff(superuser=True)


def fill_in(client, address, **given):
    form = client.get(address).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in {**shown, **given}.items() if value is not None}


def hidden(client, address):
    return dict(client.get(address).context["hidden"])


def address_of(model, word, row, key=""):
    return reverse(f"admin:ordering_{model}_act", args=[row, word, key] if key else [row, word])


def recorded_by_staff():
    return list(StoredEvent.objects.filter(actor__startswith="staff:").values_list("position", "type"))


def test_each_act_of_the_admin_is_tried_here():
    acts = {
        (page.opts.model_name, word)
        for page in admin.site._registry.values()
        if isinstance(page, ActsAdmin)
        for word in page.acts
    }
    assert ACTS.keys() == acts - SENDS_NO_COMMAND


@pytest.mark.parametrize(("model", "word"), ACTS)
def test_what_is_sent_twice_is_done_once_and_said_to_be_done(client, boss, model, word):
    row, key, given = ACTS[model, word]()
    address = address_of(model, word, row, key)
    form = fill_in(client, address, **given)
    first = client.post(address, form)
    assert first.status_code == 302, first.context["form"].errors
    bring_to_rest()
    recorded = recorded_by_staff()
    assert recorded
    second = client.post(address, form, follow=True)
    bring_to_rest()
    assert said(second)[-1] == DONE_ALREADY
    assert recorded_by_staff() == recorded


def test_what_is_sent_twice_at_once_is_done_once(boss):
    conference = scene.conference()
    address, answers, both = address_of("conferencesummary", "add-seats", conference), [], Barrier(2)
    clients = [logged_in(boss) for _ in range(2)]
    form = fill_in(clients[0], address, **SEATS)

    def send(browser):
        both.wait()
        answers.append(browser.post(address, form).status_code)
        connections.close_all()

    together(send, clients)
    assert answers == [302, 302]
    assert capacity(conference) == 110


def test_of_two_who_add_seats_at_once_one_is_told_what_the_other_has_done(boss):
    conference = scene.conference()
    address, answers, both = address_of("conferencesummary", "add-seats", conference), [], Barrier(2)
    clients = [logged_in(boss) for _ in range(2)]
    forms = {browser: fill_in(browser, address, **SEATS) for browser in clients}

    def send(browser):
        both.wait()
        answers.append(browser.post(address, forms[browser]))
        connections.close_all()

    together(send, clients)
    assert capacity(conference) == 110
    (refused,) = (each for each in answers if each.status_code == 200)
    assert "conference-changed" in text(refused)
    again = refused.context["form"]
    clients[0].post(address, {name: again[name].value() for name in again.fields})
    assert capacity(conference) == 120


def test_who_looked_before_somebody_added_seats_reads_that_they_were_added(client, boss):
    conference = scene.conference()
    address = address_of("conferencesummary", "add-seats", conference)
    mine, theirs = (fill_in(client, address, **SEATS) for _ in range(2))
    client.post(address, theirs)
    asked = client.post(address, mine)
    (told,) = asked.context["changes"]
    assert "10" in told
    assert capacity(conference) == 110


def test_what_was_refused_is_corrected_and_sent_again(client, boss):
    conference = scene.conference()
    address = address_of("conferencesummary", "add-seats", conference)
    form = fill_in(client, address, **SEATS | {"price": "1.00"})
    refused = client.post(address, form)
    assert "seat-type-differs" in text(refused)
    again = refused.context["form"]
    corrected = {name: again[name].value() for name in again.fields} | {"price": "99.50"}
    for _ in range(2):
        client.post(address, corrected)
    assert capacity(conference) == 110


def test_what_was_refused_may_be_sent_again_as_it_is_once_nothing_stands_against_it(client, boss):
    order = shop.order(shop.customer(), conference := shop.conference_on_sale(2), 2)
    address = address_of("conferencesummary", "hold", conference, "standard")
    form = fill_in(client, address, quantity=1, label="Press", **WHY)
    assert "not-enough-seats" in text(client.post(address, form))
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert client.post(address, form).status_code == 302
    assert ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["held"] == 1


def test_another_answer_a_page_back_is_not_said_to_be_done(client, boss):
    conference = scene.conference()
    address = address_of("conferencesummary", "rename", conference)
    form = fill_in(client, address, name="DjangoCon")
    client.post(address, form)
    asked = client.post(address, form | {"name": "EuroPython"})
    assert "conference-changed" in text(asked)
    assert ConferenceSummary.objects.get(pk=conference).name == "DjangoCon"


def test_a_conference_that_is_scheduled_twice_is_there_once(client, boss):
    now = timezone.now()
    form = {
        "conference_id": new_id(),
        "name": "PyCon",
        "time_zone": "UTC",
        "currency": "EUR",
        "opens_at": f"{now:%Y-%m-%dT%H:%M}",
        "closes_at": LATER,
        "starts_at": LATER,
        "seats-TOTAL_FORMS": 1,
        "seats-INITIAL_FORMS": 0,
        **{f"seats-0-{name}": value for name, value in SEATS.items()},
    }
    address = reverse("admin:ordering_conferencesummary_add")
    answers = [client.post(address, form, follow=True) for _ in range(2)]
    assert said(answers[1])[-1] == "This conference was scheduled already."
    assert ConferenceSummary.objects.count() == StoredEvent.objects.filter(type="conference.scheduled").count() == 1


def test_a_statement_that_is_booked_twice_is_booked_once(client, boss):
    order = scene.order()
    line = f"Buchungstag;Betrag (EUR);Verwendungszweck\n2026-11-20;199,00;{reference_of(payment_id_of(order))}\n"
    file = SimpleUploadedFile("statement.csv", line.encode())
    page = client.post(reverse("admin:ordering_statement"), {"file": file}).url
    client.post(page, {})
    recorded = recorded_by_staff()
    assert recorded
    second = client.post(page, {}, follow=True)
    assert (second.status_code, said(second)[-1][:34]) == (200, "This statement was booked already,")
    assert recorded_by_staff() == recorded
    assert not StatementFile.objects.exists()


def test_a_file_that_is_uploaded_twice_is_one_import(client, boss):
    address = reverse("admin:eventstore_import_upload", args=["customers"])
    for _ in range(2):
        file = SimpleUploadedFile("customers.csv", b"name,email\nAda,ada@example.org\n")
        assert client.post(address, {"file": file, "kind": "csv"}).status_code == 302
    assert ImportRun.objects.count() == 1


def test_a_copy_that_is_asked_for_twice_is_sent_once_and_both_are_told_its_number(client, boss):
    shop.customer()
    bring_to_rest()
    address = url("send-copy", WELCOME)
    form = hidden(client, f"{address}?delivery={Delivery.objects.get().pk}") | WHY
    first, second = (client.post(address, form, follow=True) for _ in range(2))
    bring_to_rest()
    assert len(mail.outbox) == 2
    assert said(first) == [said(second)[-1]]
    assert actions() == [("resend", WELCOME, "ada", WHY["reason"], False)]


def test_what_an_operation_has_removed_is_said_to_be_gone_the_second_time_too(client, boss):
    gone = {"rank": Rank.PROJECTION, "mode": "sync", "version": 1, "types_hash": "", "checkpoint": 0}
    SubscriberRow.objects.create(name="gone", subscriber="gone", status="paused", **gone)
    address = url("retire", "gone")
    form = hidden(client, address) | WHY
    first, second = (client.post(address, form, follow=True) for _ in range(2))
    assert said(first) == [said(second)[-1]] == ["gone: retired."]


def test_an_operation_that_was_refused_may_be_asked_for_again(client, boss):
    name = "customer-profiles"
    shop.customer()
    form = hidden(client, url("pause", name))
    assert "is running" in text(client.post(url("resume", name), form))
    client.post(url("pause", name), hidden(client, url("pause", name)))
    client.post(url("resume", name), form)
    assert SubscriberRow.objects.get(name=name).status == "running"
    assert [each.refused for each in OperatorAction.objects.order_by("id")] == [True, False, False]


def test_what_somebody_selected_is_done_once(client, boss):
    failed = troubles.failed_mails(2)
    asked = client.post(LEDGER, selected("retry_selected", failed))
    form = selected("retry_selected", failed, confirmed="yes")
    form |= {name: value for name, value in asked.context["hidden"] if name == "form_id"}
    client.post(LEDGER, form)
    Delivery.objects.update(status="failed")
    client.post(LEDGER, form)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}
    assert len(actions()) == 2


def test_who_has_drawn_no_id_has_asked_for_nothing_yet():
    OperatorAction.objects.create(operation="pause", target="x", by="ada", outcome="paused")
    assert performed(None) is None


def logged_in(user):
    from django.test import Client

    browser = Client()
    browser.force_login(user)
    return browser


def together(send, clients):
    threads = [Thread(target=send, args=[browser]) for browser in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def capacity(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["capacity"]
