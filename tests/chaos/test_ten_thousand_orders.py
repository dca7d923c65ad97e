"""Hundreds of orders, or thousands, at full speed, while workers are killed: all adds up, to the cent and the seat.

Four processes sell as fast as they can, over the sync read models, the saga, its timers, and mails to a real mail
server. People pay, pay twice, pay too late, decline, cancel, and let time run out. All the while workers and the
processes of their pools are killed with -9. Then all comes to rest, and is counted.

ORDERS is how many (400). `ORDERS=10000 make test ARGS=tests/chaos/test_ten_thousand_orders.py` takes its time.
CHAOS_SEED chooses who does what and who is killed, and is printed.
"""

import os
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from config import bundled
from eventstore import store
from eventstore.models import DiscardedEvent, ParkedEvent, SkippedRange, StoredEvent, SubscriberRow
from eventstore.subscriptions import gaps
from eventstore.subscriptions.registry import registry
from eventstore.testing import reset
from ordering.effects.customer import send_welcome
from ordering.effects.order import send_request
from ordering.effects.waitlist import send_left
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary, WaitlistEntry
from ordering.processes.sale import Sale
from ordering.registry import EFFECTS
from sagas.models import OutboxCommand, Timer
from tests.chaos.accounts import Accounts
from tests.chaos.havoc import Reaper
from tests.chaos.installation import Installation
from tests.chaos.rest import PATIENCE, come_to_rest, rows, unrest
from tests.chaos.stories import Story, contradictions, stories
from tests.integration import shop
from tests.integration.processes import MailServer, mail_server
from tests.servers import temporary_home

WRITERS = ("first writer", "second writer", "third writer", "fourth writer")
EACH = max(1, int(os.environ.get("ORDERS", "400")) // len(WRITERS))
ORDERS = len(WRITERS) * EACH
SEED = os.environ.get("CHAOS_SEED") or secrets.token_hex(4)
PATIENT_FOR = 120.0
"""Seconds without any progress, once everything is back, after which it will never come to rest."""

REGISTERED = "customer.registered"
FINAL = {"confirmed", "refused", "expired", "cancelled", "refunded"}
WAITING = "awaiting_payment"

pytestmark = [pytest.mark.long, pytest.mark.bundled, pytest.mark.timeout(300 + ORDERS + 5 * PATIENT_FOR)]


class Aftermath(NamedTuple):
    """What is left: the accounts of the log, what the writers were told, the mails that arrived, and stories."""

    accounts: Accounts
    told: Counter[str]
    mails: MailServer
    stories: dict[UUID, Story]

    def recorded(self, kind: str) -> list[StoredEvent]:
        """The events of one type."""
        return [event for event in self.accounts.events if event.type == kind]

    def orders(self, *statuses: str) -> list[UUID]:
        """Those that stand so, by the log."""
        return [order_id for order_id, order in self.accounts.orders.items() if order["status"] in statuses]


@pytest.fixture(scope="module")
def aftermath(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Aftermath]:
    with django_db_blocker.unblock():
        reset()
        registry.make_rows()
        yield live_through()
        reset()
        connection.close()


def live_through() -> Aftermath:
    """One conference is sold out early, so that orders are refused."""
    conferences = [shop.conference_on_sale(capacity) for capacity in (max(1, ORDERS // 4), 5 * ORDERS, 5 * ORDERS)]
    with (
        temporary_home() as home,
        bundled.servers(home, postgres=False) as broker,
        mail_server() as (mails, mail_url),
        Installation(
            SEED,
            conferences,
            writers=WRITERS,
            REDIS_URL=broker.redis_url,
            EMAIL_URL=mail_url,
            WRITER_ORDERS=str(EACH),
            WRITER_PAUSE="0",
            **PATIENCE,
        ) as installation,
    ):
        reaper, begun = Reaper(SEED, installation), time.monotonic()
        try:
            reaper.reap(lambda: installation.selling)
            sold = time.monotonic()
            reaper.calm()
            come_to_rest(PATIENT_FOR, meanwhile=reaper.supervise)
            print(f"sold for {sold - begun:.0f} s, at rest {time.monotonic() - sold:.0f} s later")  # noqa: T201
        except BaseException:
            print("unrest:", *unrest(), installation.printed(), sep="\n")  # noqa: T201 - for whoever looks for the cause
            raise
        finally:
            print(f"CHAOS_SEED={SEED}", *reaper.diary, sep="\n")  # noqa: T201
    accounts = Accounts()
    told = Counter(outcome for outcome, _, _ in installation.told())
    by_order = {UUID(story.instance.key): story for story in stories(Sale(), accounts.events)}
    return Aftermath(accounts, told, mails, by_order)


def test_all_orders_were_placed_and_ended_in_every_way_there_is(aftermath):
    assert len(aftermath.accounts.orders) == ORDERS
    assert aftermath.told["failed"] == 0
    statuses = Counter(order["status"] for order in aftermath.accounts.orders.values())
    assert {*statuses} <= {*FINAL, WAITING}
    assert statuses["confirmed"] > ORDERS / 4, statuses
    assert aftermath.recorded("payment.declined")
    if ORDERS >= 4_000:
        assert {*statuses} == {*FINAL, WAITING}, statuses
        assert aftermath.recorded("saga.command-refused")


def test_every_order_stands_where_its_events_lead_to(aftermath):
    accounts = aftermath.accounts
    assert list(accounts.broken_promises()) == []
    assert rows(OrderSummary, "status", "payment_status", "total", "version", "as_of") == accounts.orders
    assert rows(CustomerProfile, "name", "email", "version", "as_of") == accounts.customers


def test_an_order_waits_for_nothing_but_its_payment(aftermath):
    timers = Timer.objects.filter(saga=Sale.name, status="waiting")
    waiting = {UUID(key) for key in timers.values_list("key", flat=True)}
    assert waiting == {*aftermath.orders(WAITING)}


def test_seats_add_up(aftermath):
    accounts = aftermath.accounts
    assert accounts.absurd == []
    on_offer = quantities(accounts.on_offer.values())
    assert on_offer == quantities(WaitlistEntry.objects.filter(status="offered").values("conference_id", "lines"))
    for status, seats in {"confirmed": "sold", WAITING: "reserved"}.items():
        ordered = quantities(map(accounts.placed.get, aftermath.orders(status)))
        if status == WAITING:
            ordered += on_offer
        held = {conference: types["standard"][seats] for conference, types in accounts.conferences.items()}
        assert ordered == Counter(held)
    for row in ConferenceSummary.objects.all():
        assert row.seat_types["standard"]["available"] == accounts.conferences[row.pk]["standard"]["available"]


def test_the_money_that_was_kept_is_what_confirmed_orders_cost(aftermath):
    kept = defaultdict[UUID, Decimal](Decimal)
    for kind, sign in (("payment.accepted", 1), ("refund.settled", -1)):
        for event in aftermath.recorded(kind):
            kept[UUID(event.data["order_id"])] += sign * Decimal(event.data["amount"]["amount"])
    costs = {order_id: aftermath.accounts.orders[order_id]["total"] for order_id in aftermath.orders("confirmed")}
    assert {order_id: amount for order_id, amount in kept.items() if amount} == costs


def test_whoever_was_confirmed_has_a_mail_and_whoever_registered_one_welcome(aftermath):
    customers, placed = aftermath.accounts.customers, aftermath.accounts.placed
    buyers = {order_id: customers[UUID(order["customer_id"])]["email"] for order_id, order in placed.items()}

    def to(data):
        waiting = data.get("customer_id")
        return customers[UUID(waiting)]["email"] if waiting else buyers[UUID(data["order_id"])]

    expected = {message_id(send_welcome, each): each.data["email"] for each in aftermath.recorded(REGISTERED)}
    assert len(expected) == len({*expected.values()}) == len(customers)
    asked = {message_id(send_request, event) for event in aftermath.recorded(send_request.event.stored)}
    asked |= {message_id(send_left, event) for event in aftermath.recorded(send_left.event.stored)}
    for effect in (each for each in EFFECTS if each.name.startswith("mail.") and each is not send_welcome):
        events = aftermath.recorded(effect.event.stored)
        expected |= {message_id(effect, event): to(event.data) for event in events}
    contents: dict[str, tuple[str, str]] = {}
    for mail in aftermath.mails.received:
        what = (mail["To"], mail["Subject"])
        assert contents.setdefault(mail["Message-ID"], what) == what
    assert {each: expected[each] for each in contents} == {each: to for each, (to, _) in contents.items()}
    assert expected.keys() - contents.keys() <= asked, "only of what has ended meanwhile nobody is told"


def test_every_command_was_sent_once_and_the_story_of_every_sale_explains_its_state(aftermath):
    assert {*OutboxCommand.objects.values_list("status", flat=True)} <= {"done", "refused"}
    assert aftermath.stories.keys() == aftermath.accounts.orders.keys()
    for story in aftermath.stories.values():
        assert list(contradictions(story)) == []
        remembered = sale_of(story)
        assert {name: story.instance.state[name] for name in remembered} == remembered


def test_no_gap_is_left_and_nobody_has_stopped(aftermath):
    for subscriber in registry:
        assert gaps.gaps(subscriber.name).ranges == []
    assert {(row.status, row.checkpoint) for row in SubscriberRow.objects.all()} == {("running", store.head())}
    for kind in (ParkedEvent, DiscardedEvent, SkippedRange):
        assert not kind.objects.exists()


def quantities(taken: Iterable[Mapping[str, Any]]) -> Counter[UUID]:
    """How many seats of each conference."""
    seats = Counter[UUID]()
    for each in taken:
        seats[UUID(str(each["conference_id"]))] += sum(line["quantity"] for line in each["lines"])
    return seats


def sale_of(story: Story) -> dict[str, Any]:
    """What the sale of an order has to remember of all it has heard."""
    heard = [event.type for event in story.heard]
    placed = story.heard[0].data
    late = heard.count("order.taken-up")
    cancelled = "order.cancelled" in heard
    return {
        "order_id": placed["order_id"],
        "conference_id": placed["conference_id"],
        "total": placed["total"],
        "closed": "order.refused" in heard or cancelled or heard.count("order.expired") > late,
        "expired": heard.count("order.expired") > late,
        "confirmed": "order.confirmed" in heard,
        "awaits_seats": False,
        "reviving": False,
        "paid": False,
    }


def message_id(effect, event):
    return f"<{effect.idempotency_key(event)}@{settings.MAIL_DOMAIN}>"
