"""Subscribers to try the machinery with, in this process and in a worker's.

A probe notes under which keys it was given which positions, in the order in which it was. The events are renamings of
customers whose new name lists the keys: `note("a b")` concerns two. What shall go wrong is written in a table, so that
every process does alike.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from django.db import connections

from eventstore import database, handler_guard, store
from eventstore.context import new_id
from eventstore.models import OperatorAction, ParkedEvent, SubscriberRow
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode, Rank, Shard, Subscriber
from ordering.domain.customer import CustomerRenamed
from tests.integration.eventstore import raw

TYPE = CustomerRenamed.stored
WHO = "anna"

_TABLES = """
    DROP TABLE IF EXISTS probe_noted, probe_wrong;
    CREATE TABLE probe_noted (id serial, name text, key text, position bigint, pid int);
    CREATE TABLE probe_wrong (key text, statement text)"""


class Probe(Subscriber):
    """Notes what it is given."""

    types = frozenset({TYPE})

    def __init__(self, name="probe", *, mode=Mode.SYNC, uses=(), rank=Rank.PROJECTION, idempotent=False):
        self.name, self.declared_mode, self.uses, self.rank, self.idempotent = name, mode, uses, rank, idempotent

    def keys(self, recorded):
        keys = recorded.event.name.split()
        if "?" in keys and is_wrong("?"):
            raise KeyError("?")
        return keys

    def begins_at(self, head):
        return 0

    def apply(self, cursor, work):
        wrong = dict(cursor.execute("SELECT key, statement FROM probe_wrong").fetchall())
        for key, recorded in work:
            cursor.execute(
                "INSERT INTO probe_noted (name, key, position, pid) VALUES (%s, %s, %s, pg_backend_pid())",
                [self.name, key, recorded.position],
            )
            if key == "warned":
                handler_guard.warn(recorded, "odd")
            for found in wrong.keys() & {key, f"{key}@{recorded.position}"}:
                if not wrong[found]:
                    raise ValueError(key)
                cursor.execute(wrong[found])

    def noted(self, key=None):
        """The positions that it applied, in the order in which it did: of one key, or of each."""
        rows = query("SELECT key, position FROM probe_noted WHERE name = %s ORDER BY id", self.name)
        found = defaultdict(list)
        for noted, position in rows:
            found[noted].append(position)
        return dict(found) if key is None else found[key]

    @property
    def row(self):
        return SubscriberRow.objects.get(pk=self.name)

    @property
    def rows(self):
        return list(SubscriberRow.objects.filter(subscriber=self.name).order_by("shard"))

    def feed(self):
        """Feed it, all its shards, until nothing is left."""
        feeding.catch_up([registry[row.name] for row in self.rows])

    def parked(self):
        """Which positions are parked under which key; those that failed are negative."""
        found = defaultdict(list)
        for parked in ParkedEvent.objects.filter(subscriber=self.name).order_by("position"):
            found[parked.key].append(-parked.position if parked.error else parked.position)
        return dict(found)


@contextmanager
def tables() -> Iterator[None]:
    """The tables of probes, for as long as a test needs them."""
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(_TABLES)
        user = connections["default"].settings_dict["USER"]
        owner.execute(f'GRANT ALL ON probe_noted, probe_noted_id_seq, probe_wrong TO "{user}"')
        try:
            yield
        finally:
            owner.execute("DROP TABLE probe_noted, probe_wrong")


@contextmanager
def registered(*probes):
    """Subscribers that are there for a while."""
    with ExitStack() as stack:
        for probe in probes:
            registry.register(probe)
            stack.callback(registry.unregister, probe)
        registry.forget_rows()
        registry.make_rows()
        yield probes if len(probes) > 1 else probes[0]
    SubscriberRow.objects.filter(subscriber__in=[probe.name for probe in probes]).delete()


def note(*names, stream=None):
    """Append an event for each name, onto one stream; answers the last position."""
    stream = stream or new_id()
    events = [CustomerRenamed(customer_id=stream, name=name) for name in names]
    changes = store.Changes(stream_id=stream, category="probe", expected=store.version_of(stream), events=events)
    return store.append(changes).last


def go_wrong(*keys, statement=""):
    """From now on these keys fail, or run a statement; `key@position` is one event of a key."""
    for key in keys:
        query("INSERT INTO probe_wrong VALUES (%s, %s)", key, statement)


def mend(*keys):
    query("DELETE FROM probe_wrong WHERE key = ANY(%s)", list(keys))


def is_wrong(key):
    return bool(query("SELECT 1 FROM probe_wrong WHERE key = %s", key))


def query(statement, *values):
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def own_shard(subscriber, key):
    """The row that feeds a key."""
    rows = SubscriberRow.objects.filter(subscriber=subscriber.name)
    (found,) = [row for row in rows if Shard(subscriber, row.shard, row.shards).hash_range.holds(key)]
    return found


def last_action():
    return OperatorAction.objects.first()


def waiting_for(text, sessions=1):
    """Whether so many sessions wait for a lock, in a statement that contains this."""
    with closing(raw.connect("owner", autocommit=True)) as observer:
        found = observer.execute(
            """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s""",
            [f"%{text}%"],
        ).fetchone()
    return found == (sessions,)
