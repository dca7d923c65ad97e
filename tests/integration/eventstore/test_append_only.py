"""History can't be changed, by whatever way one tries; nor what the application did be told otherwise."""

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connections, transaction

from eventstore.errors import EventstoreError
from eventstore.models import OperatorAction, StoredEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

STATEMENTS = [
    "UPDATE eventstore_event SET actor = 'somebody else'",
    "DELETE FROM eventstore_event",
    "TRUNCATE eventstore_event",
]


@pytest.fixture(autouse=True)
def history(clean: None) -> list[int]:
    shop.customer()
    return list(StoredEvent.objects.values_list("position", flat=True))


@pytest.mark.parametrize("alias", ["default", "owner"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_sql_is_refused_as_the_application_and_as_the_owner(statement, alias, history):
    with pytest.raises(DatabaseError), transaction.atomic(alias), connections[alias].cursor() as cursor:
        cursor.execute(statement)
    assert list(StoredEvent.objects.values_list("position", flat=True)) == history


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_applications_role_lacks_the_privilege_too(statement):
    with pytest.raises(DatabaseError) as refused, transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute(statement)
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_the_orm_is_refused(history):
    event = StoredEvent.objects.get(pk=history[0])
    event.actor = "somebody else"
    with pytest.raises(DatabaseError):
        event.save()
    with pytest.raises(DatabaseError):
        event.delete()
    with pytest.raises(DatabaseError):
        StoredEvent.objects.update(actor="somebody else")
    with pytest.raises(DatabaseError):
        StoredEvent.objects.all().delete()
    assert StoredEvent.objects.get(pk=history[0]).actor == ""


def test_the_application_can_not_switch_the_guard_off():
    with pytest.raises(DatabaseError), transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE eventstore_event DISABLE TRIGGER ALL")


ROW = {
    "stream_id": "'00000000-0000-7000-8000-000000000001'",
    "category": "'customer'",
    "version": "1",
    "type": "'customer.renamed'",
    "schema_version": "1",
    "data": "'{}'",
    "event_id": "'00000000-0000-7000-8000-000000000002'",
    "correlation_id": "'00000000-0000-7000-8000-000000000003'",
    "actor": "''",
    "metadata": "'{}'",
}


def insert(**columns):
    row = ROW | columns
    return f"INSERT INTO eventstore_event ({', '.join(row)}) VALUES ({', '.join(row.values())})"


FORGED = {
    "an event at another position": insert(position="1000000"),
    "an event before all others": insert(position="-1"),
    "an event of another time": insert(recorded_at="'2001-01-01T00:00:00Z'"),
    "positions that are given out anew": "SELECT setval('eventstore_event_position_seq', 1)",
    "a sequence that begins elsewhere": "ALTER TABLE eventstore_event ALTER COLUMN position RESTART WITH 1000000",
    "a command that was never carried out": "DELETE FROM eventstore_command",
    "a command that was carried out otherwise": "UPDATE eventstore_command SET first_position = 1, last_position = 1",
    "an operation that nobody asked for": "DELETE FROM eventstore_operation",
    "an operation of somebody else": "UPDATE eventstore_operation SET by = 'bob'",
    "an operation for another reason": "UPDATE eventstore_operation SET reason = 'because'",
    "an operation of another time": "UPDATE eventstore_operation SET at = '2001-01-01T00:00:00Z'",
    "an act of other staff": "UPDATE django_admin_log SET user_id = 1",
    "no acts at all": "TRUNCATE django_admin_log",
    "no operations at all": "TRUNCATE eventstore_operation",
    "no commands at all": "TRUNCATE eventstore_command",
}


@pytest.mark.parametrize("told", FORGED)
def test_the_application_tells_nothing_that_was_not_so(told):
    with pytest.raises(DatabaseError) as refused, transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute(FORGED[told])
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_the_database_gives_an_event_its_position_and_its_time(history):
    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute(f"{insert()} RETURNING position, recorded_at, clock_timestamp()")
        position, recorded_at, now = cursor.fetchone()
        transaction.set_rollback(True)
    assert position > history[-1]
    assert abs((now - recorded_at).total_seconds()) < 60


def test_the_application_notes_how_an_operation_ended():
    perform(Pause(target="customer-profiles"), by="ada")
    assert OperatorAction.objects.get().outcome == "paused"
    with pytest.raises(EventstoreError):
        perform(Pause(target="customer-profiles"), by="ada")
    assert [each.refused for each in OperatorAction.objects.order_by("id")] == [False, True]


def test_a_user_who_has_done_nothing_can_be_deleted():
    User.objects.create_user("ada").delete()
    assert not User.objects.exists()
