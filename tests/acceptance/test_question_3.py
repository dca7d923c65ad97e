"""How do I refactor who handles an event? Twice, on a log that version 1.0.0 began.

Then nobody collected who was refused, and the order itself heard of its payments. Today there are a waitlist, which
those have joined who were refused back then, and finance, which books payments and then tells the order.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from django.utils import timezone

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.events import Event
from eventstore.models import ParkedEvent, StoredEvent, SubscriberRow
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import ChangeSalesWindow, MoveConference
from ordering.domain.customer import Customer
from ordering.domain.finance import PaymentReceived, account_id_of
from ordering.domain.order import (
    CancelOrder,
    Order,
    OrderConfirmed,
    OrderPlaced,
    OrderRefused,
    PlaceOrder,
    Status,
)
from ordering.domain.payment import Payment, PaymentAccepted, PaymentRequested
from ordering.domain.seats import SOLD_OUT, Line, PricedLine, SeatsRefused, SeatsReserved, SeatsSold
from ordering.domain.values import Money, order_number, payment_id_of
from ordering.domain.waitlist import AcceptOffer, Place, Waitlist, waitlist_id_of
from ordering.models import ConferenceSummary, CustomerProfile
from sagas.models import Delivery, OutboxCommand
from tests.acceptance import version_1
from tests.acceptance.version_1 import CHANGED, in_version_1, manage, pay, row, total_of
from tests.chaos.rest import PATIENCE, come_to_rest
from tests.integration.copying import COPY
from tests.integration.processes import BASE_DIR, MailServer, mail_server, worker

pytestmark = pytest.mark.long

PAGE = BASE_DIR / "docs" / "refactoring.md"
BETWEEN = "-- the next block --"
COLUMNS = (
    *("position", "stream_id", "category", "version", "type", "schema_version", "data", "subject_id", "sealed"),
    *("event_id", "correlation_id", "causation_id", "actor", "metadata", "recorded_at"),
)
PRICE = Money(Decimal("199.00"), "EUR")


class History(NamedTuple):
    """Who is who in the log of version 1.0.0, how far that went, and its rows, as they were before anything of today's
    had touched the database.
    """

    head: int
    rows: list[tuple[object, ...]]
    conference: UUID
    refused: UUID
    bought_meanwhile: UUID
    confirmed: UUID
    has_workshops: UUID
    awaiting: UUID
    left_alone: UUID


class Deployed(NamedTuple):
    """What today's version has made of it: how the waitlist was when it had been told the history, and the end."""

    history: History
    environment: dict[str, str]
    waited: dict[UUID, Place]
    began: UUID
    offered: UUID
    mails: MailServer


@pytest.fixture(scope="module")
def old(django_db_setup, django_db_blocker) -> Iterator[tuple[History, dict[str, str]]]:
    """An installation of version 1.0.0 in the midst of a sale, whose database was migrated to today's."""
    with django_db_blocker.unblock(), version_1.installed() as environment:
        released = rows(environment)
        manage(environment, "migrate", "--verbosity=0")
        (conference,) = ConferenceSummary.objects.using(COPY).values_list("pk", flat=True)
        somebody = buys_meanwhile(conference)
        acting = SubscriberRow.objects.using(COPY).exclude(rank=Rank.PROJECTION)
        acting.update(checkpoint=store.head(using=COPY))
        (refusal,) = in_version_1("refused")
        confirmed = in_version_1("confirmed")
        workshops = [each for each in confirmed if row(each).lines[0]["seat_type"] == "workshop"]
        awaiting, left_alone, *_ = in_version_1("awaiting_payment")
        history = History(
            head=store.head(using=COPY),
            rows=released + rows(environment)[len(released) :],
            conference=conference,
            refused=row(refusal).customer_id,
            bought_meanwhile=somebody,
            confirmed=next(each for each in confirmed if each not in workshops),
            has_workshops=workshops[0],
            awaiting=awaiting,
            left_alone=left_alone,
        )
        yield history, environment


@pytest.fixture(scope="module")
def deployed(old) -> Iterator[Deployed]:
    """Today's version, once the sale has gone on and nothing is left to be done."""
    history, environment = old
    sales_go_on(history.conference)
    pay(history.awaiting, total_of(history.awaiting), "AFTER-THE-DEPLOYMENT")
    with mail_server() as (mails, url):
        with worker(beats=True, **{**environment, **PATIENCE, "EMAIL_URL": url}):
            for name in CHANGED:
                manage(environment, "projections", "rebuild", name, "--wait", "--by=ada", "--yes")
            come_to_rest(120, using=COPY)
            waited = {entry.customer_id: entry.place for entry in waitlist(history).entries.values()}

            began = ordered(history)
            pay(began, total_of(began), "NEW")
            dispatch(CancelOrder(order_id=history.has_workshops), using=COPY)
            come_to_rest(120, using=COPY)

            (offer,) = waitlist(history).entries.values()
            dispatch(AcceptOffer(waitlist_id=waitlist_id_of(history.conference), entry_id=offer.id), using=COPY)
            come_to_rest(120, using=COPY)
            assert offer.order_id
            pay(offer.order_id, total_of(offer.order_id), "OFFERED")
            come_to_rest(120, using=COPY)
        yield Deployed(history, environment, waited, began, offer.order_id, mails)


def buys_meanwhile(conference: UUID) -> UUID:
    """Somebody is refused seats, and buys them soon after. It is recorded with no more than version 1.0.0 said: the
    conference was told no customer, and the payment no provider.
    """
    customer = CustomerProfile.objects.using(COPY).order_by("registered_at").values_list("pk", flat=True)[0]
    refused, bought = new_id(), new_id()
    priced, total = (PricedLine("standard", 2, PRICE),), PRICE * 2
    for order in (refused, bought):
        placed = OrderPlaced(
            order_id=order,
            number=order_number(order.int),
            customer_id=customer,
            conference_id=conference,
            lines=priced,
            total=total,
            expires_at=timezone.now() + timedelta(minutes=15),
        )
        record("order", order, placed)
    lines = (Line("standard", 2),)
    of_refused: dict[str, Any] = {"conference_id": conference, "order_id": refused}
    record("conference", conference, SeatsRefused(lines=lines, reason=SOLD_OUT, **of_refused))
    record("order", refused, OrderRefused(order_id=refused, reason=SOLD_OUT))

    of_bought: dict[str, Any] = {"conference_id": conference, "order_id": bought}
    record("conference", conference, SeatsReserved(lines=priced, total=total, **of_bought))
    payment: dict[str, Any] = {"payment_id": payment_id_of(bought), "order_id": bought, "amount": total}
    record("payment", payment_id_of(bought), PaymentRequested(provider="sandbox", **payment))
    record("payment", payment_id_of(bought), PaymentAccepted(reference="MEANWHILE", provider="", **payment))
    record("order", bought, OrderConfirmed(order_id=bought))
    record("conference", conference, SeatsSold(lines=lines, **of_bought))
    return customer


def record(category: str, stream_id: UUID, event: Event) -> None:
    version = store.version_of(stream_id, using=COPY)
    changes = store.Changes(stream_id=stream_id, category=category, expected=version, events=(event,))
    store.append(changes, using=COPY)


def sales_go_on(conference: UUID) -> None:
    """However long ago version 1.0.0 was."""
    now = timezone.now()
    starts_at = now + timedelta(days=60)
    dispatch(MoveConference(conference_id=conference, starts_at=starts_at, time_zone="UTC", place=""), using=COPY)
    window = ChangeSalesWindow(conference_id=conference, opens_at=now - timedelta(days=1), closes_at=starts_at)
    dispatch(window, using=COPY)


def ordered(history: History) -> UUID:
    """A new order of somebody who is known since version 1.0.0."""
    order = new_id()
    placed = PlaceOrder(
        order_id=order,
        customer_id=row(history.confirmed).customer_id,
        conference_id=history.conference,
        lines=(Line("standard", 1),),
    )
    dispatch(placed, using=COPY)
    come_to_rest(120, using=COPY)
    return order


def rows(environment: dict[str, str]) -> list[tuple[object, ...]]:
    """What is stored, as the database writes it."""
    texts = ", ".join(f"{name}::text" for name in COLUMNS)
    query = f"SELECT {texts} FROM eventstore_event AS stored ORDER BY stored.position"
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as database:
        return database.execute(query.encode()).fetchall()


def waitlist(history: History) -> Waitlist:
    return repository.get(Waitlist, waitlist_id_of(history.conference), using=COPY)


def recorded(stream_id: UUID) -> list[str]:
    return [each.type for each in store.read_stream(stream_id, using=COPY)]


def test_who_was_refused_before_is_on_the_waitlist_once_and_who_bought_meanwhile_is_not(deployed):
    history = deployed.history
    assert deployed.waited == {history.refused: Place.WAITING}
    assert recorded(waitlist_id_of(history.conference)).count("waitlist.joined") == 1


def test_who_was_refused_before_gets_the_seats_of_an_order_of_before_that_is_cancelled_since(deployed):
    history, order = deployed.history, repository.get(Order, deployed.offered, using=COPY)
    assert (order.customer_id, order.status) == (history.refused, Status.CONFIRMED)
    assert recorded(waitlist_id_of(history.conference)) == [
        "waitlist.joined",
        "waitlist.chosen",
        "waitlist.offered",
        "waitlist.accepted",
    ]
    seats = repository.get(ConferenceSeats, history.conference, using=COPY)
    assert seats.held_by(deployed.offered) == (Line("workshop", 1),)


def test_an_order_is_told_of_its_payment_by_finance_whether_it_began_before_or_since(deployed):
    for order in (deployed.history.awaiting, deployed.began):
        assert row(order).status == "confirmed"
        assert recorded(account_id_of(order)) == ["finance.payment-received"]
        assert [kind for kind in recorded(order) if kind.startswith("order.payment")] == ["order.payment-credited"]


def test_money_that_came_before_finance_kept_books_is_brought_forward_once_and_only_where_it_matters(deployed):
    history = deployed.history
    assert recorded(account_id_of(history.confirmed)) == []
    assert row(history.confirmed).status == "confirmed"
    received, *_ = store.read_stream(account_id_of(history.has_workshops), using=COPY)
    assert isinstance(received.event, PaymentReceived)
    assert received.event.brought_forward
    assert recorded(account_id_of(history.has_workshops)).count("finance.payment-received") == 1
    cancelled = row(history.has_workshops)
    assert (cancelled.status, cancelled.returned) == ("refunded", cancelled.total)


def test_an_order_of_before_that_nobody_pays_expires(deployed):
    assert row(deployed.history.left_alone).status == "expired"


def test_old_streams_are_still_folded(deployed):
    kinds = {"order": Order, "conference": ConferenceSeats, "customer": Customer, "payment": Payment}
    streams = StoredEvent.objects.using(COPY).filter(position__lte=deployed.history.head, category__in=kinds)
    for stream_id, category in streams.values_list("stream_id", "category").distinct():
        folded = repository.get(kinds[category], stream_id, using=COPY)
        assert folded.version == store.version_of(stream_id, using=COPY)
    manage(deployed.environment, "events", "verify")


def test_what_was_stored_is_byte_for_byte_what_it_was(deployed):
    before = deployed.history.rows
    assert len(before) == deployed.history.head
    assert rows(deployed.environment)[: len(before)] == before


def test_no_mail_and_no_command_is_sent_twice_and_nothing_is_parked(deployed):
    sent = [str(mail["Message-ID"]) for mail in deployed.mails.received]
    assert len(sent) == len(set(sent)) == Delivery.objects.using(COPY).filter(effect__startswith="mail.").count()
    assert not ParkedEvent.objects.using(COPY).exists()

    commands = OutboxCommand.objects.using(COPY)
    assert set(commands.values_list("status", flat=True)) <= {"done", "refused"}
    joining = commands.filter(type="waitlist.join-refused")
    assert joining.count() == StoredEvent.objects.using(COPY).filter(type="seats.refused").count() == 2


def test_a_restart_does_nothing_of_it_once_more(deployed):
    before, sent = store.head(using=COPY), len(deployed.mails.received)
    with worker(beats=True, **{**deployed.environment, **PATIENCE}):
        come_to_rest(120, using=COPY)
    assert (store.head(using=COPY), len(deployed.mails.received)) == (before, sent)


def test_every_command_of_the_page_succeeds(deployed):
    """The blocks of shell are run in their order; a block of text is what the one before it says."""
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = f"\necho '{BETWEEN}'\n".join(text for kind, text in blocks if kind == "sh")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        ["bash", "-euc", script],
        cwd=BASE_DIR,
        env={**os.environ, **deployed.environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    printed = run.stdout.split(f"{BETWEEN}\n")
    number = -1
    for kind, text in blocks:
        number += kind == "sh"
        if kind == "text":
            assert [line for line in text.splitlines() if line not in printed[number]] == [], printed[number]
