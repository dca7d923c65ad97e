"""Sixty seconds in which everything fails that can: what was acknowledged is there, and nothing happened twice.

Two processes sell, over read models that requests feed, one that is fed by workers in three shards, the saga, timers
and mails. Meanwhile workers, their processes and the sellers themselves are killed, sessions of PostgreSQL ended, the
broker frozen and killed, mails held; read models are rebuilt in two parts, swapped and verified. Then everything
returns, comes to rest, and is counted.

CHAOS_SECONDS is how long it lasts (60). CHAOS_SEED chooses what goes wrong, and is printed: the same one does the same
things again, though not to the same moment of those they are done to.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from config import bundled
from eventstore import store
from eventstore.models import CommandRecord, DiscardedEvent, ParkedEvent, SkippedRange, SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Reshard
from eventstore.subscriptions import gaps
from eventstore.subscriptions.registry import registry
from eventstore.testing import reset
from ordering.effects.order import send_request
from ordering.models import ConferenceSummary, CustomerProfile, DailySales, OrderSummary
from projections.models import Generation
from projections.projection import Projection
from projections.rebuild import builder, generations
from sagas.effects.effect import Effect
from sagas.models import Delivery, OutboxCommand
from tests.chaos.accounts import Accounts
from tests.chaos.havoc import Havoc
from tests.chaos.installation import Installation
from tests.chaos.rest import PATIENCE, come_to_rest, rows, unrest
from tests.integration import shop
from tests.integration.processes import MailServer, mail_server
from tests.servers import temporary_home

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
SEED = os.environ.get("CHAOS_SEED") or secrets.token_hex(4)
PATIENT_FOR = 120.0
"""Seconds without any progress, once everything is back, after which it will never come to rest."""

SPLIT = "customer-profiles"

pytestmark = [pytest.mark.long, pytest.mark.bundled, pytest.mark.timeout(SECONDS + 5 * PATIENT_FOR)]


class Aftermath(NamedTuple):
    """What is left: the accounts of the log, what the writers were told, and the mails that arrived."""

    accounts: Accounts
    told: list[tuple[str, UUID, str]]
    mails: MailServer


@pytest.fixture(scope="module")
def aftermath(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Aftermath]:
    with django_db_blocker.unblock(), override_settings(EVENTSTORE_MODES={SPLIT: "async"}):
        reset()
        registry.make_rows()
        perform(Reshard(target=SPLIT, shards=3), by="chaos")
        yield live_through()
        reset()
        connection.close()


def live_through() -> Aftermath:
    conferences = [shop.conference_on_sale(capacity) for capacity in (60, 5_000)]
    with (
        temporary_home() as home,
        bundled.servers(home, postgres=False) as broker,
        mail_server() as (mails, mail_url),
        Installation(
            SEED,
            conferences,
            REDIS_URL=broker.redis_url,
            EMAIL_URL=mail_url,
            SUBSCRIBER_MODES=f"{SPLIT}=async",
            **PATIENCE,
        ) as installation,
    ):
        havoc = Havoc(SEED, installation, broker.valkey, mails)
        try:
            havoc.rage(SECONDS)
            havoc.calm()
            installation.stop_writers()
            come_to_rest(PATIENT_FOR, meanwhile=havoc.supervise)
        except BaseException:
            print("unrest:", *unrest(), installation.printed(), sep="\n")  # noqa: T201 - for whoever looks for the cause
            raise
        finally:
            print(f"CHAOS_SEED={SEED}", *havoc.diary, sep="\n")  # noqa: T201
    return Aftermath(Accounts(), installation.told(), mails)


def outcomes(aftermath: Aftermath, outcome: str) -> dict[UUID, str]:
    return {command_id: what for told, command_id, what in aftermath.told if told == outcome}


def test_people_bought_all_the_while(aftermath):
    told = Counter(outcome for outcome, _, _ in aftermath.told)
    assert told["acknowledged"], told
    statuses = Counter(order["status"] for order in aftermath.accounts.orders.values())
    assert statuses["confirmed"], statuses


def test_what_was_acknowledged_is_in_the_log_where_the_writer_was_told(aftermath):
    recorded = dict(CommandRecord.objects.values_list("id", "last_position"))
    there = {event.position for event in aftermath.accounts.events}
    for command_id, position in outcomes(aftermath, "acknowledged").items():
        if int(position):
            assert recorded.get(command_id) == int(position)
            assert int(position) in there


def test_what_was_refused_left_nothing(aftermath):
    refused = outcomes(aftermath, "refused")
    assert not CommandRecord.objects.filter(pk__in=refused).exists()
    assert not [event for event in aftermath.accounts.events if event.causation_id in refused]


def test_a_command_is_carried_out_once_whether_a_client_sent_it_or_a_saga(aftermath):
    caused: dict[UUID, list[int]] = {}
    for event in aftermath.accounts.events:
        if event.category != "effect":
            caused.setdefault(event.causation_id, []).append(event.position)
    recorded = CommandRecord.objects.exclude(last_position=None)
    records = {record.pk: (record.first_position, record.last_position) for record in recorded}
    assert records == {command_id: (positions[0], positions[-1]) for command_id, positions in caused.items()}
    for sent in OutboxCommand.objects.exclude(result=None):
        assert records[sent.command_id][1] == sent.result


def test_streams_have_no_holes(aftermath):
    versions: dict[UUID, int] = {}
    for event in aftermath.accounts.events:
        assert event.version == versions.get(event.stream_id, 0) + 1
        versions[event.stream_id] = event.version


def test_every_order_was_brought_to_its_end_and_no_seat_was_given_out_twice(aftermath):
    assert aftermath.accounts.absurd == []
    assert list(aftermath.accounts.broken_promises()) == []


def test_rows_are_what_a_fold_of_the_log_in_plain_python_gives(aftermath):
    accounts = aftermath.accounts
    assert rows(OrderSummary, "status", "payment_status", "total", "version", "as_of") == accounts.orders
    assert rows(CustomerProfile, "name", "email", "version", "as_of") == accounts.customers
    assert rows(DailySales, "payments", "received", "refunds", "refunded") == accounts.days
    seats = {
        row.pk: {
            code: {"capacity": seats["capacity"], "available": seats["available"]}
            for code, seats in row.seat_types.items()
        }
        for row in ConferenceSummary.objects.all()
    }
    assert seats == {
        conference: {code: {name: count[name] for name in ("capacity", "available")} for code, count in types.items()}
        for conference, types in accounts.conferences.items()
    }


def test_verifying_every_projection_finds_no_difference(aftermath):
    for subscriber in registry:
        if isinstance(subscriber, Projection):
            verified = builder.complete(generations.verify(subscriber.name, requested_by="chaos"))
            assert (verified.status, verified.error) == ("verified", "")
            assert list(verified.differences.values_list("key", "columns")) == []
    assert not Generation.objects.filter(differing__gt=0).exists()


def test_of_generations_nothing_is_left_but_what_could_be_rolled_back_to(aftermath):
    assert set(Generation.objects.values_list("status", flat=True)) <= {"live", "old", "dropped", "verified"}
    assert _schemas() == {generation.schema for generation in Generation.objects.filter(status="old")}


def test_both_rebuilds_in_two_parts_were_swapped_in(aftermath):
    for name in ("order-summaries", SPLIT):
        swapped = Generation.objects.filter(projection=name, purpose="rebuild", status__in=["live", "old", "dropped"])
        assert swapped.exists()


def test_no_gap_is_left_and_nobody_has_stopped(aftermath):
    for subscriber in registry:
        assert gaps.gaps(subscriber.name).ranges == []
    assert {(row.status, row.checkpoint) for row in SubscriberRow.objects.all()} == {("running", store.head())}
    stale = {row.subscriber for row in SubscriberRow.objects.exclude(stale="")}
    assert stale <= {each.name for each in registry if each.uses}
    assert SubscriberRow.objects.filter(subscriber=SPLIT).count() == 3
    for kind in (ParkedEvent, DiscardedEvent, SkippedRange):
        assert not kind.objects.exists()


def test_mails_arrived_and_a_repeated_one_has_the_same_id(aftermath):
    expected: dict[str, str] = {}
    for effect in registry:
        if isinstance(effect, Effect):
            heard = [event for event in aftermath.accounts.events if event.type in effect.types]
            read = store.read_these([event.position for event in heard])
            asked = {each.position for each in read if effect.keys(each)}
            wanted = [event for event in heard if event.position in asked]
            ledger = Delivery.objects.filter(effect=effect.name).order_by("position")
            assert [*ledger.values_list("position", flat=True)] == [event.position for event in wanted]
            if effect.name.startswith("mail."):
                ids = [f"<{effect.idempotency_key(event)}@{settings.MAIL_DOMAIN}>" for event in wanted]
                expected |= dict.fromkeys(ids, effect.name)
    assert {"mail.welcome", "mail.order-confirmation"} <= {*expected.values()}
    contents: dict[str, tuple[str, str]] = {}
    for mail in aftermath.mails.received:
        what = (mail["To"], mail["Subject"])
        assert contents.setdefault(mail["Message-ID"], what) == what
    told = Counter(event.data["message_id"] for event in aftermath.accounts.events if event.type == "mail.sent")
    assert told == Counter(contents.keys())
    assert contents.keys() <= expected.keys()
    assert {expected[each] for each in expected.keys() - contents.keys()} <= {send_request.name}


def _schemas() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'generation%'")
        return {name for (name,) in cursor.fetchall()}
