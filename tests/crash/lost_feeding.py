"""PostgreSQL dies as often as it is told, each time just after a request was answered: on a server of its own, which
`python -m tests.crash.lost_feeding 200` starts, kills and starts again. Says what came of it as one JSON object.

What a request has fed is committed without waiting for the disk, so it is gone each time, with the checkpoints. Nothing
takes it to the disk in the meantime: the server's WAL writer comes round too rarely here, and this process rings each
bell but once, for the mark of a bell is committed in a way that waits.
"""

import json
import math
import os
import subprocess
import sys
from typing import Any
from uuid import UUID

import django

from config import bundled
from config.bundled.launch import Servers
from tests.servers import temporary_home

SETTINGS = {"wal_writer_delay": "10s"}  # the longest that PostgreSQL knows


def main(rounds: int) -> dict[str, Any]:
    with temporary_home() as home, bundled.servers(home, valkey=False, settings=SETTINGS) as servers:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": servers.database_url,
            "DATABASE_OWNER_URL": servers.owner_url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--database=owner", "--verbosity=0"]
        subprocess.run(migrate, check=True, capture_output=True)
        django.setup()
        return play(servers, rounds)


def play(servers: Servers, rounds: int) -> dict[str, Any]:
    from django.db import connections

    from eventstore import doorbell, store
    from eventstore.models import StoredEvent, SubscriberRow
    from eventstore.subscriptions import feeding
    from eventstore.subscriptions.registry import registry
    from eventstore.subscriptions.subscriber import Mode
    from ordering.models import OrderSummary
    from tests.crash import aftermath
    from tests.integration import shop

    conference_id, customer_id = shop.conference_on_sale(capacity=2 * rounds), shop.customer()
    orders: list[UUID] = []
    doorbell.PAUSE = math.inf
    lost = fed_again = 0
    for number in range(rounds):
        if number % 2 and orders:
            receipt = shop.pay(orders[-1])
        else:
            receipt = shop.place(customer_id, conference_id)
            orders.append(receipt.stream_id)
        assert receipt.settled
        before, events = reached(), StoredEvent.objects.count()
        connections.close_all()
        servers.postgres.kill()
        servers.postgres.start()
        lost += events - StoredEvent.objects.count()
        fed_again += reached() < before
        feeding.catch_up(registry.of(Mode.SYNC))
    feeding.catch_up(list(registry))
    statuses = [OrderSummary.objects.get(pk=order_id).status for order_id in orders]
    return {
        "rounds": rounds,
        "fed_again": fed_again,
        "events_lost": lost,
        "orders": {status: statuses.count(status) for status in set(statuses)},
        "wrong": [
            *aftermath.done_otherwise_than_once(),
            *aftermath.untold(),
            *(str(row) for row in SubscriberRow.objects.filter(checkpoint__lt=store.head())),
        ],
    }


def reached() -> int:
    """Where the slowest of those stands whom requests feed."""
    from eventstore.subscriptions import visibility
    from eventstore.subscriptions.registry import registry
    from eventstore.subscriptions.subscriber import Mode

    return visibility.reached([subscriber.name for subscriber in registry.of(Mode.SYNC)])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))) + "\n")
