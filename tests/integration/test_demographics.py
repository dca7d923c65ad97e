"""A read model with one narrow interest: it is woken by that event, and nothing else is read for it."""

from contextlib import closing
from datetime import date

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import SubscriberRow
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from ordering.domain.customer import ChangeCustomer, RegisterCustomer
from ordering.models import BirthYear
from projections.testing import assert_rebuild_equals_live
from tests.integration import shop
from tests.integration.admin.reading import text
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

OTHERS = 100_000
SAME_AGAIN = """INSERT INTO eventstore_event (stream_id, category, version, type, schema_version, data, event_id,
        correlation_id, actor, metadata)
    SELECT stream_id, category, version + number, type, schema_version, data, gen_random_uuid(), correlation_id, actor,
        metadata
    FROM eventstore_event, generate_series(1, %s) AS number WHERE position = %s"""
READ = """SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'eventstore_event'"""


def born(*dates):
    for number, birth_date in enumerate(dates):
        customer = RegisterCustomer(
            customer_id=new_id(), name="Ada", email=f"ada{number}.{new_id()}@example.org", birth_date=birth_date
        )
        dispatch(customer)


def feed():
    feeding.catch_up([registry["demographics"]])


def decades():
    return {each["decade"]: each["customers"] for each in BirthYear.objects.by_decade()}


def read_from_the_log():
    """Rows of the log that were read so far, by whomever."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(READ)
        return cursor.fetchone()[0]


def test_customers_are_counted_by_the_decade_they_were_born_in():
    born(date(1815, 12, 10), date(1819, 1, 1), date(1820, 1, 1), None)
    feed()
    assert decades() == {1810: 2, 1820: 1}
    assert_rebuild_equals_live("demographics")


def test_who_corrects_a_birth_date_moves_and_who_takes_it_back_is_gone():
    born(date(1990, 5, 1), date(1990, 5, 2))
    feed()
    one, other = BirthYear.objects.values_list("pk", flat=True)
    dispatch(ChangeCustomer(customer_id=one, birth_date=date(1989, 5, 1)))
    dispatch(ChangeCustomer(customer_id=other, birth_date=None))
    feed()
    assert decades() == {1980: 1}


def test_a_hundred_thousand_other_events_neither_wake_it_nor_are_read_for_it():
    ada = shop.customer()
    changed = dispatch(ChangeCustomer(customer_id=ada, name="Countess of Lovelace"))
    for _ in range(10):  # So often that PostgreSQL would keep a plan, which fits a short log.
        born(date(1815, 12, 10))
        feed()
    with connection.cursor() as cursor:
        cursor.execute(SAME_AGAIN, [OTHERS, changed.position])
    with closing(raw.connect("owner", autocommit=True)) as owner:
        # As autovacuum does within a minute; until then the planner knows the log that was. For anybody but the owner
        # PostgreSQL does nothing but warn.
        owner.execute("ANALYZE eventstore_event")
    born(date(1815, 12, 10))
    read, before = read_from_the_log(), SubscriberRow.objects.get(pk="demographics")

    first = feeding.feed([registry["demographics"]])

    assert (first.moved, first.full) == (True, False)
    after = SubscriberRow.objects.get(pk="demographics")
    assert after.checkpoint == store.head() > before.checkpoint + OTHERS
    assert after.processed == before.processed + 1
    assert read_from_the_log() - read < 10
    assert decades() == {1810: 11}


def test_staff_see_numbers_and_no_persons(client):
    client.force_login(User.objects.create_superuser("ada"))
    page = reverse("admin:ordering_birthyear_changelist")
    assert "No customer has told a date of birth yet." in text(client.get(page))
    born(date(1815, 12, 10), date(1990, 5, 1), date(1991, 5, 1))
    feed()
    assert '<td data-label="Decade">1990s</td><td data-label="Customers" class="number">2</td>' in text(
        client.get(page)
    )
    one = BirthYear.objects.values_list("pk", flat=True)[0]
    assert str(one) not in text(client.get(reverse("admin:ordering_birthyear_change", args=[one])))


def test_who_may_not_see_it_does_not(client):
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.get(reverse("admin:ordering_birthyear_changelist")).status_code == 403
