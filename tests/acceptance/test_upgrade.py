"""An installation of version 1.0.0 is upgraded in the middle of a sale: every order ends well under today's rules."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pytest
from django.db.models import Sum

from eventstore.commands import dispatch
from eventstore.models import ParkedEvent
from ordering.domain.order import CancelOrder
from ordering.models import ConferenceSales, ConferenceSummary, DailySales, OrderSummary
from sagas.models import Delivery
from tests.acceptance import version_1
from tests.acceptance.version_1 import CHANGED, in_version_1, manage, pay, row, total_of
from tests.chaos.rest import PATIENCE, come_to_rest
from tests.integration.copying import COPY
from tests.integration.processes import mail_server, worker

pytestmark = pytest.mark.long


class Acted(NamedTuple):
    """The orders about which something is done after the upgrade, each by its name; four waited for their payment."""

    paid: UUID
    underpaid: UUID
    cancelled_unpaid: UUID
    left_alone: UUID
    cancelled_paid: UUID
    paid_twice: UUID


class Ended(NamedTuple):
    """What was done, how orders stood before, and the Message-IDs of the mails that went out."""

    acted: Acted
    before: dict[UUID, str]
    mails: list[str]


@pytest.fixture(scope="module")
def upgraded(django_db_setup, django_db_blocker) -> Iterator[dict[str, str]]:
    """The environment of programs that run on a database of version 1.0.0, migrated to today's."""
    with django_db_blocker.unblock(), version_1.installed() as environment:
        manage(environment, "migrate", "--verbosity=0")
        yield environment


@pytest.fixture(scope="module")
def ended(upgraded) -> Iterator[Ended]:
    """What has become of it, once the sale has gone on and nothing is left to be done."""
    waits, confirmed = in_version_1("awaiting_payment"), in_version_1("confirmed")
    before = {order: status for status in OrderSummary.Status.values for order in in_version_1(status)}
    acted = Acted(*waits, *confirmed[:2])
    pay(acted.paid, total_of(acted.paid), "IN-TIME")
    pay(acted.underpaid, Decimal("1.00"), "TOO-LITTLE")
    dispatch(CancelOrder(order_id=acted.cancelled_unpaid), using=COPY)
    dispatch(CancelOrder(order_id=acted.cancelled_paid), using=COPY)
    pay(acted.paid_twice, total_of(acted.paid_twice), "TWICE")
    with mail_server() as (mails, url), worker(beats=True, **{**upgraded, **PATIENCE, "EMAIL_URL": url}):
        for name in CHANGED:
            manage(upgraded, "projections", "rebuild", name, "--wait", "--by=ada", "--yes")
        come_to_rest(120, using=COPY)
        yield Ended(acted, before, [str(mail["Message-ID"]) for mail in mails.received])


def test_who_waited_for_a_payment_is_confirmed_expires_or_is_cancelled(ended):
    acted = ended.acted
    assert {name: row(getattr(acted, name)).status for name in Acted._fields} == {
        "paid": "confirmed",
        "underpaid": "expired",
        "cancelled_unpaid": "cancelled",
        "left_alone": "expired",
        "cancelled_paid": "refunded",
        "paid_twice": "confirmed",
    }


def test_an_order_in_its_final_state_stays_there(ended):
    touched = set(ended.acted)
    now = dict(OrderSummary.objects.using(COPY).values_list("pk", "status"))
    assert len(now) == 30
    untouched = {order: status for order, status in ended.before.items() if order not in touched}
    assert {order: now[order] for order in untouched} == untouched


def test_all_money_is_where_it_belongs(ended):
    """A confirmed order keeps what it costs, any other nothing; and the figures say the same."""
    rows = OrderSummary.objects.using(COPY).all()
    kept = {each.pk: each.received - each.returned for each in rows}
    assert kept == {each.pk: each.total if each.status == "confirmed" else 0 for each in rows}
    sums = rows.aggregate(received=Sum("received"), returned=Sum("returned"))
    assert sums["returned"] > 0
    days = DailySales.objects.using(COPY).aggregate(received=Sum("received"), returned=Sum("refunded"))
    sales = ConferenceSales.objects.using(COPY).aggregate(received=Sum("received"), returned=Sum("refunded"))
    assert sums == days == sales


def test_seats_are_taken_by_confirmed_orders_alone(ended):
    (conference,) = ConferenceSummary.objects.using(COPY).all()
    sold: Counter[str] = Counter()
    for each in OrderSummary.objects.using(COPY).filter(status="confirmed"):
        sold.update({line["seat_type"]: line["quantity"] for line in each.lines})
    assert {code: each["taken"] for code, each in conference.seat_types.items()} == {
        code: sold[code] for code in conference.seat_types
    }


def test_every_mail_goes_out_once(ended):
    """Also those that version 1.0.0 had been asked for and had not sent."""
    assert Delivery.objects.using(COPY).filter(effect="mail.order-confirmation").count() == 17 + 1
    assert (
        len(ended.mails)
        == len(set(ended.mails))
        == Delivery.objects.using(COPY).filter(effect__startswith="mail.").count()
    )


def test_nothing_is_parked(ended):
    assert not ParkedEvent.objects.using(COPY).exists()
