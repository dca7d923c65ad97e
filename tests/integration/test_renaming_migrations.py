"""A database from before the names changed: what is in it is there afterwards, under the new ones."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.copying import empty

BASE_DIR = Path(__file__).parents[2]
BEFORE = {"ordering": "0003", "sagas": "0003", "projections": "0003", "eventstore": "0006"}

ROWS = """
INSERT INTO eventstore_subscriber (name, subscriber, rank, mode, version, wanted, checkpoint, shard, shards,
    fingerprint,
    stale, began_after, status, processed, failures, last_error, fed_by)
VALUES ('sale', 'sale', 2, 'sync', 1, 'abc', 7, 0, 1, '', '', 0, 'running', 3, 0, '', '');
INSERT INTO eventstore_pulse (name, kind, queues, process) VALUES ('live@host', 'worker', '{live}', 'host:1'),
    ('watch', 'watch', '{}', 'host:1');
INSERT INTO eventstore_warning (subscriber, position, text) VALUES ('sale', 3, 'odd');
INSERT INTO eventstore_incident (id, kind, about, text, began_at, seen_at) VALUES (1, 'halted', 'sale', '', now(),
    now());
INSERT INTO eventstore_notice (incident_id, channel, ended, attempts)
VALUES (1, 'eventstore.telling.mail_admins', false, 2), (1, 'pagers.ring', false, 0);
INSERT INTO eventstore_operation (operation, target, details, reason, by, outcome, refused)
VALUES ('mend', 'sales-by-day', '{}', '', 'ada', 'done', false);
INSERT INTO projections_generation (id, projection, purpose, version, wanted, status, made, indexes, target, lower,
    upper,
    cancelling, waits_for, error, requested_by, fingerprint)
VALUES (4, 'sales-by-day', 'mend', 1, 'abc', 'mended', false, '{}', 9, '', '', false, '', '', '', ''),
    (5, 'sales-by-day', 'rebuild', 1, 'abc', 'old', true,
        '{"i": "CREATE INDEX i ON generation_5.ordering_salesofday USING btree (day)"}', 9, '', '', false, '', '',
    '', '');
CREATE SCHEMA generation_5;
CREATE TABLE generation_5.ordering_salesofday (LIKE public.ordering_salesofday);
INSERT INTO ordering_salesofday (as_of, key, day, currency, payments, received, refunds, refunded)
VALUES (1, '2030-01-01 EUR', '2030-01-01', 'EUR', 1, 10, 0, 0);
INSERT INTO generation_5.ordering_salesofday SELECT * FROM ordering_salesofday;
INSERT INTO sagas_outgoing (saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor)
VALUES ('sale', 'k', gen_random_uuid(), 'order.confirm', '{}', gen_random_uuid(), 1, gen_random_uuid(),
    gen_random_uuid(), '');
INSERT INTO sagas_instance (saga, key, state, version, ended, position, started_at)
VALUES ('sale', 'told', '{}', 1, false, 7, now()),
    ('sale', 'told from 5 on', '{}', 1, false, 7, now() - interval '1 day'),
    ('sale', 'untold', '{}', 1, false, 7, now() - interval '1 day');
INSERT INTO sagas_transition (saga, key, position, type, version, state, ended, steps, at)
SELECT 'sale', key, position, 'order.placed', 1, '{}', false, '[]', now()
FROM (VALUES ('told', 5), ('told', 7), ('told from 5 on', 5), ('told from 5 on', 7)) AS told (key, position);
INSERT INTO sagas_pace (effect, free_at) VALUES ('mail.welcome', now());
INSERT INTO sagas_delivery (effect, position, status, due_at, waits_for)
VALUES ('mail.welcome', 1, 'waiting', '9999-01-01 00:00+00', 'customer-profiles'),
    ('mail.welcome', 2, 'waiting', now(), 'customer-profiles (parked)'),
    ('mail.welcome', 3, 'waiting', now(), '08:00'),
    ('mail.welcome', 4, 'done', now(), '');
INSERT INTO auth_user (id, username, password, is_superuser, is_staff, is_active, first_name, last_name, email,
    date_joined)
VALUES (1, 'ada', '', false, true, true, '', '', '', now());
INSERT INTO auth_user_user_permissions (user_id, permission_id)
SELECT 1, id FROM auth_permission
WHERE codename IN ('view_pulse', 'delete_pulse', 'view_outgoing', 'settle_command', 'resend_delivery',
    'view_salesofday');
"""


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection]:
    """One that was migrated before the names changed, with something in every table whose name has, and then again."""
    empty(os.environ["SPARE_DATABASE_URL"])
    migrate("auth")
    for app, number in reversed(BEFORE.items()):
        migrate(app, number)
    with psycopg.connect(os.environ["SPARE_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(ROWS)
        migrate()
        yield connection
    empty(os.environ["SPARE_DATABASE_URL"])


def migrate(*target: str) -> None:
    spare = os.environ["SPARE_DATABASE_URL"]
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0", *target],
        cwd=BASE_DIR,
        env=os.environ | {"DATABASE_URL": spare, "DATABASE_OWNER_URL": spare},
        check=True,
        timeout=120,
    )


def fetch(database: psycopg.Connection, query: str) -> list[tuple]:
    return database.execute(query).fetchall()


def granted(database: psycopg.Connection) -> set[str]:
    of_ada = "auth_user_user_permissions JOIN auth_permission AS permission ON permission.id = permission_id"
    return {codename for (codename,) in fetch(database, f"SELECT codename FROM {of_ada} WHERE user_id = 1")}


def test_what_was_there_is_there_under_its_new_name(database):
    assert fetch(database, "SELECT name, types_hash, checkpoint FROM eventstore_subscriber") == [("sale", "abc", 7)]
    assert fetch(database, "SELECT name, kind FROM eventstore_heartbeat ORDER BY 1") == [
        ("health-check", "health-check"),
        ("live@host", "worker"),
    ]
    assert fetch(database, "SELECT text FROM eventstore_warning") == [("odd",)]
    assert fetch(database, "SELECT notifier, attempts, sent_at FROM eventstore_notification ORDER BY 1") == [
        ("eventstore.monitoring.notifications.mail_admins", 2, None),
        ("pagers.ring", 0, None),
    ]
    assert fetch(database, "SELECT operation FROM eventstore_operation") == [("mend",)]
    assert fetch(database, "SELECT purpose, status, types_hash FROM projections_generation ORDER BY id") == [
        ("repair", "repaired", "abc"),
        ("rebuild", "old", "abc"),
    ]
    assert fetch(database, "SELECT key FROM ordering_dailysales") == [("2030-01-01 EUR",)]
    assert fetch(database, "SELECT key FROM generation_5.ordering_dailysales") == [("2030-01-01 EUR",)]
    ((index,),) = fetch(database, "SELECT indexes->>'i' FROM projections_generation WHERE id = 5")
    assert index == "CREATE INDEX i ON generation_5.ordering_dailysales USING btree (day)"
    assert fetch(database, "SELECT key, status FROM sagas_outbox") == [("k", "pending")]
    assert fetch(database, "SELECT effect FROM sagas_rate_limit") == [("mail.welcome",)]
    assert fetch(database, "SELECT wait_reason FROM sagas_delivery ORDER BY position") == [
        ("checkpoint",),
        ("parked key",),
        ("send window",),
        ("",),
    ]


def test_amounts_have_room_for_every_currency_and_are_what_they_were(database):
    for table in ("ordering_dailysales", "generation_5.ordering_dailysales"):
        assert fetch(database, f"SELECT received::text, refunded::text FROM {table}") == [("10.0000", "0.0000")]


def test_what_people_were_granted_they_still_have(database):
    assert granted(database) == {
        *("view_workerheartbeat", "delete_workerheartbeat", "view_outboxcommand", "resolve_command"),
        *("copy_delivery", "view_dailysales"),
    }


def test_of_an_instance_it_is_known_from_where_on_its_history_was_kept(database):
    assert fetch(database, "SELECT key, history_begins_after FROM sagas_instance ORDER BY key") == [
        ("told", 0),
        ("told from 5 on", 4),
        ("untold", 7),
    ]


def test_there_is_a_way_back(database):
    for app, number in BEFORE.items():
        migrate(app, number)
    assert fetch(database, "SELECT key FROM generation_5.ordering_salesofday") == [("2030-01-01 EUR",)]
    assert fetch(database, "SELECT kind FROM eventstore_pulse ORDER BY name") == [("worker",), ("watch",)]
    assert fetch(database, "SELECT channel FROM eventstore_notice ORDER BY 1") == [
        ("eventstore.telling.mail_admins",),
        ("pagers.ring",),
    ]
    assert "settle_command" in granted(database)
