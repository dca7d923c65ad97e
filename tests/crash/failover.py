"""The primary dies, a standby that lacks its last events takes its place, and others append to the same streams: then
the process that remembers what was lost decides again. `python -m tests.crash.failover` starts both servers, and says
what came of it as one JSON object.
"""

import json
import os
import subprocess
import sys
from typing import Any
from uuid import UUID

import django

from config import bundled
from config.bundled.launch import Servers
from tests.integration.standbys import StreamingStandby
from tests.servers import FAST, temporary_home

SEATS = 10


def main() -> dict[str, Any]:
    with (
        temporary_home() as home,
        temporary_home() as another,
        bundled.servers(home, valkey=False, settings=FAST) as servers,
    ):
        os.environ |= {
            "DATABASE_URL": servers.database_url,
            "DATABASE_OWNER_URL": servers.owner_url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--database=owner", "--verbosity=0"]
        subprocess.run(migrate, check=True, capture_output=True)
        django.setup()
        standby = StreamingStandby(another, servers.guardian, servers.postgres, FAST)
        try:
            standby.start()
            return play(servers, standby)
        finally:
            standby.stop()


def play(servers: Servers, standby: StreamingStandby) -> dict[str, Any]:
    """Of two conferences four seats are sold, then two that are lost, and six to others: the next one is too many. One
    is remembered in memory, and one in a snapshot.
    """
    from django.db import connections, transaction

    from eventstore import identity, repository
    from eventstore.commands import carry_out
    from eventstore.context import new_id
    from eventstore.models import StoredEvent, SubscriberRow
    from eventstore.subscriptions import feeding
    from eventstore.subscriptions.registry import registry
    from ordering.domain.conference import ConferenceSeats
    from ordering.domain.seats import Line, ReserveSeats
    from ordering.models import ConferenceSummary
    from tests.chaos.accounts import Accounts
    from tests.crash import aftermath
    from tests.integration import shop

    def fail_over() -> None:
        servers.postgres.kill()
        standby.take_over()
        connections.close_all()

    def at_hand(conference_id: UUID) -> ConferenceSeats:
        """As this process remembers it, before it has looked at what came since."""
        seats = repository.recall(ConferenceSeats, conference_id)
        remembered.append((seats.version, seats.available("standard")))
        return seats

    def left(conference_id: UUID) -> int:
        """The free seats, as they are read."""
        return ConferenceSummary.objects.get(pk=conference_id).seat_types["standard"]["available"]

    def without_row() -> list[str]:
        """The subscribers that nobody would feed."""
        rows = set(SubscriberRow.objects.values_list("subscriber", flat=True))
        return [subscriber.name for subscriber in registry if subscriber.name not in rows]

    remembered: list[tuple[int, int]] = []
    deployed_last = registry["mail.welcome"]
    registry.unregister(deployed_last)
    ConferenceSeats.snapshot_every = 1
    customer_id = shop.customer()
    in_memory, in_snapshot = shop.conference_on_sale(SEATS), shop.conference_on_sale(SEATS)
    for conference_id in 4 * [in_memory, in_snapshot]:
        shop.order(customer_id, conference_id)
    standby.cut_off()
    registry.register(deployed_last)
    registry.forget_rows()
    for conference_id in (in_memory, in_memory, in_snapshot):
        shop.order(customer_id, conference_id)
    written = StoredEvent.objects.count() + 1
    with transaction.atomic(durable=True):
        # As through a pooler, the snapshot that is kept once this is committed reaches the other server.
        transaction.on_commit(fail_over)
        lines = (Line("standard", 1),)
        carry_out(ReserveSeats(conference_id=in_snapshot, order_id=new_id(), lines=lines), new_id(), using="default")
    lost, fenced = written - StoredEvent.objects.count(), identity.is_fenced()
    identity.confirm(by="staff")
    missing = without_row()
    registry.make_rows()
    unfed = without_row()
    rival = [sys.executable, "-m", "tests.crash.rival", *map(str, (customer_id, in_memory, in_snapshot))]
    subprocess.run(rival, check=True)

    repository.aggregate_cache.give(at_hand(in_memory), "default")
    shop.order(customer_id, in_memory)
    repository.aggregate_cache.forget()
    at_hand(in_snapshot)
    shop.order(customer_id, in_snapshot)
    feeding.catch_up(list(registry))
    return {
        "lost": lost,
        "fenced": fenced,
        "missing": missing,
        "unfed": unfed,
        "remembered": remembered,
        "refused": StoredEvent.objects.filter(type="seats.refused").count(),
        "available": [left(conference_id) for conference_id in (in_memory, in_snapshot)],
        "wrong": [*Accounts().absurd, *aftermath.done_otherwise_than_once(), *aftermath.untold()],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
