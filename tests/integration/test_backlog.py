"""Many commands of sagas wait at once, as when a thousand orders run out of time at one moment."""

import pytest
from django.db import connection, transaction

from eventstore.context import new_id
from sagas import outbox
from sagas.models import OutboxCommand

pytestmark = pytest.mark.usefixtures("clean")

MANY = 1_000


def waiting(key, **values):
    return OutboxCommand(
        saga="sale",
        key=str(key),
        command_id=new_id(),
        type="order.expire",
        data={"order_id": str(new_id())},
        root=new_id(),
        hops=0,
        correlation_id=new_id(),
        causation_id=new_id(),
        actor="saga:sale",
        **values,
    )


def rows_read():
    """How many rows of the outgoing commands this transaction has looked at."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'sagas_outbox'"
        )
        return cursor.fetchone()[0]


def test_a_look_reads_each_command_once_though_nothing_was_there_when_its_plan_could_be_made():
    for _ in range(10):
        assert outbox.send_several() == 0
    OutboxCommand.objects.bulk_create(waiting(number) for number in range(MANY))
    with transaction.atomic():
        assert len(outbox.due()) == outbox.CANDIDATES
        assert rows_read() <= MANY


def test_the_oldest_commands_come_first_and_of_one_instance_only_its_first():
    OutboxCommand.objects.bulk_create([waiting("second"), waiting("first"), waiting("second"), waiting("third")])
    assert outbox.due() == [("sale", "second"), ("sale", "first"), ("sale", "third")]


def test_what_waits_behind_a_parked_command_is_not_looked_at():
    OutboxCommand.objects.bulk_create([waiting("held up", status="parked"), waiting("held up"), waiting("free")])
    assert outbox.due() == [("sale", "free")]


def test_a_few_commands_are_sent_after_one_look():
    OutboxCommand.objects.bulk_create(waiting(number) for number in range(outbox.CANDIDATES + 5))
    assert [outbox.send_several(), outbox.send_several(), outbox.send_several()] == [outbox.CANDIDATES, 5, 0]
