"""Lists of sagas, commands, timers and deliveries cost the same however many there are: each filter goes by an index,
and no statement reads more rows than a few pages have.
"""

import json
from contextlib import closing
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.integration.admin.reading import COMMANDS, INSTANCES, LEDGER, SEE, TIMERS
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

MANY = 30_000
MOST_READ = 2_500
MOST_STATEMENTS = 15

FILL = """
INSERT INTO sagas_delivery (effect, position, status, finished_at, error)
    SELECT CASE WHEN n %% 3000 = 0 THEN 'mail.order-status' ELSE 'mail.welcome' END, n,
        CASE WHEN n %% 1000 = 0 THEN 'failed' ELSE 'done' END, now(), CASE WHEN n %% 1000 = 0 THEN 'away' ELSE '' END
    FROM generate_series(1, %(many)s) AS n;
INSERT INTO sagas_instance (saga, key, state, version, position, ended)
    SELECT 'sale', 'order ' || n, '{}', 1, n, n %% 100 > 0 FROM generate_series(1, %(many)s) AS n;
INSERT INTO sagas_outbox (
        saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor, status, error)
    SELECT 'sale', 'order ' || n, gen_random_uuid(), 'order.confirm', '{}', gen_random_uuid(), 0, %(id)s, %(id)s, '',
        CASE WHEN n %% 1000 = 0 THEN 'parked' ELSE 'done' END, CASE WHEN n %% 1000 = 0 THEN 'refused' ELSE '' END
    FROM generate_series(1, %(many)s) AS n;
INSERT INTO sagas_timer (saga, key, name, due_at, command_id, type, data, correlation_id, causation_id, actor, status)
    SELECT 'sale', 'order ' || n, 'expiry', now() + interval '1 day', gen_random_uuid(), 'order.expire', '{}', %(id)s,
        %(id)s, 'saga', CASE WHEN n %% %(every)s = 0 THEN 'waiting' ELSE 'fired' END
    FROM generate_series(1, %(many)s) AS n;
"""


@pytest.fixture(params=[100, 2], ids=["few are unfinished", "many are unfinished"])
def filled(request):
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"many": MANY, "id": uuid4(), "every": request.param})
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("VACUUM ANALYZE sagas_delivery, sagas_instance, sagas_outbox, sagas_timer")


PAGES = [
    (INSTANCES, {}),
    (INSTANCES, {"saga": "sale"}),
    (INSTANCES, {"left": "unfinished"}),
    (INSTANCES, {"left": "parked"}),
    (COMMANDS, {}),
    (COMMANDS, {"status__exact": "parked"}),
    (COMMANDS, {"status__exact": "pending"}),
    (COMMANDS, {"status__exact": "abandoned"}),
    (COMMANDS, {"status__exact": "unanswered"}),
    (COMMANDS, {"error": "refused"}),
    (COMMANDS, {"saga": "sale", "status__exact": "parked"}),
    (TIMERS, {}),
    (TIMERS, {"status": "fired"}),
    (LEDGER, {}),
    (LEDGER, {"effect": "mail.order-status"}),
    (LEDGER, {"effect": "mail.welcome"}),
    (LEDGER, {"effect": "mail.password-link"}),
    (LEDGER, {"effect": "mail.order-status", "status__exact": "failed"}),
    (LEDGER, {"status__exact": "failed"}),
    (LEDGER, {"status__exact": "abandoned"}),
    (LEDGER, {"error": "away"}),
]


def test_no_filter_reads_much_of_what_is_there(client, staff, filled):
    staff(superuser=True)
    reads = {}
    for address, filters in PAGES:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address, filters).status_code == 200
        assert len(asked) <= MOST_STATEMENTS, (address, filters, len(asked))
        statements = [each["sql"] for each in asked if each["sql"].startswith("SELECT") and "sagas_" in each["sql"]]
        reads[address, *filters.items()] = max(map(read_by, statements))
    assert {page: rows for page, rows in reads.items() if rows > MOST_READ} == {}


def read_by(statement):
    """How many rows of tables and indexes a statement looks at."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement.replace("%", "%%"), ())
        (plan,) = cursor.fetchone()
    found = plan if isinstance(plan, list) else json.loads(plan)
    return scanned(found[0]["Plan"])


def scanned(node):
    rows = 0
    if node["Node Type"].endswith(("Scan", "Only Scan")):
        looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        rows = looked_at * node["Actual Loops"]
    return rows + sum(scanned(each) for each in node.get("Plans", []))


def test_pages_of_one_effect_follow_each_other_without_gap_or_repeat(client, staff, filled):
    staff(*SEE)
    seen, address = [], f"{LEDGER}?effect=mail.welcome"
    for _ in range(3):
        shown = client.get(address).context["cl"]
        seen += [row.position for row in shown.result_list]
        address = f"{LEDGER}{shown.older}"
    assert len(seen) == 75
    assert seen == sorted(set(seen), reverse=True)
    assert client.get(f"{LEDGER}?effect=mail.welcome&before=x").status_code == 302
