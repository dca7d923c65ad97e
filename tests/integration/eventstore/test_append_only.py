"""History can't be changed, by whatever way one tries."""

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction

from eventstore.models import StoredEvent
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
