"""The second act of the drill: a bug skips 950 events in silence, and a verification finds the rows.

One event comes for each of many orders from all over the log; a process with the bug feeds them. A status mail changes
nothing of an order but its version, and so is the least that a bug can do.
"""

import subprocess
import sys
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from benchmarks.environment import BASE_DIR
from benchmarks.errors import promise
from benchmarks.outage import MISSED
from benchmarks.report import say
from benchmarks.site import NAME, Site, caught_up, fold, row, select
from eventstore import store
from eventstore.models import ParkedEvent
from eventstore.monitoring.status import subscriber_statuses
from eventstore.store import Changes
from eventstore.subscriptions.gaps import gaps
from ordering.domain.order import OrderCancelled, OrderStatusMailRequested
from projections.models import Difference
from projections.operations import Verify
from projections.status import rebuild_issues

SOUND = 950
"""Events that the process with the bug applies as it should, at most."""

AN_APPEND = 100  # events

_ORDERS = "SELECT order_id, customer_id, version, status FROM ordering_ordersummary ORDER BY order_id"
_POSITIONS = "SELECT stream_id, position FROM eventstore_event WHERE position > %s AND category = 'order'"


def suffer(site: Site) -> dict[str, float]:
    """Damages rows and verifies. Raises `BenchmarkFailed` unless exactly the damaged ones are named."""
    random, before = Random(3), store.head()
    with site.as_owner() as owner:
        chosen = _record(owner, random)
        positions: dict[UUID, int] = dict(select(owner, _POSITIONS, before))
    damaged = {order_id: chosen[order_id] for order_id in random.sample(sorted(chosen), MISSED)}
    processed = row().processed
    say(f"feeding {len(chosen):,} events by a process that skips {MISSED} of them in silence")
    _feed_badly(site, [positions[order_id] for order_id in damaged])
    promise(row().processed == processed + len(chosen), "The process with the bug did not feed everything.")
    _judge_silence()
    say("verifying")
    verified, seconds = fold(Verify(target=NAME), "verified")
    found = {difference.key: difference for difference in Difference.objects.filter(generation=verified)}
    promise(verified.differing == len(found), f"{verified.differing} rows differ, and {len(found)} are named.")
    _judge_differences(found, damaged)
    said = {trouble.about for trouble in rebuild_issues() if trouble.kind == "differs"}
    promise(said == {NAME}, f"Staff are told of {said or 'nothing'}.")
    return {"verify_s": seconds, "verify_rows_per_s": (verified.compared or 0) / seconds}


def _record(owner: psycopg.Connection, random: Random) -> dict[UUID, set[str]]:
    """One event for each of many orders: to be cancelled, or a mail for those that are. Answers what each changes."""
    orders = select(owner, _ORDERS)
    chosen = random.sample(orders, min(len(orders), MISSED + SOUND))
    changes = [
        Changes(
            stream_id=order_id,
            category="order",
            expected=version,
            events=[
                OrderStatusMailRequested(order_id=order_id, customer_id=customer_id)
                if status == "cancelled"
                else OrderCancelled(order_id=order_id, reason="cannot come")
            ],
        )
        for order_id, customer_id, version, status in chosen
    ]
    for begin in range(0, len(changes), AN_APPEND):
        store.append(*changes[begin : begin + AN_APPEND])
    return {
        order_id: {"version"} if status == "cancelled" else {"status", "version"} for order_id, _, _, status in chosen
    }


def _feed_badly(site: Site, positions: list[int]) -> None:
    fed = subprocess.run(
        [sys.executable, "-m", "benchmarks.faulty"],
        cwd=BASE_DIR, env=site.variables, input=msgspec.json.encode(positions), check=False,
    )  # fmt: skip
    promise(fed.returncode == 0, "The process with the bug failed, which is not silent.")


def _judge_silence() -> None:
    """Nothing that is looked at all the time tells of it."""
    promise(caught_up(), "The process with the bug did not reach the end of the log.")
    promise(not gaps(NAME).ranges, "There is a gap, though the checkpoint moved on.")
    promise(not ParkedEvent.objects.exists(), "Something was parked, though nothing was raised.")
    troubles = [each.text for status in subscriber_statuses() if status.name == NAME for each in status.health_issues()]
    promise(not troubles, f"The panel says: {troubles}")


def _judge_differences(found: dict[str, Any], damaged: dict[UUID, set[str]]) -> None:
    """These rows and no others, and of each row these columns and no others."""
    keys = {str(order_id) for order_id in damaged}
    promise(
        found.keys() == keys,
        f"{len(keys - found.keys())} damaged rows are not named, and {len(found.keys() - keys)} that are sound are.",
    )
    wrong = [key for key, difference in found.items() if difference.columns.keys() != damaged[UUID(key)]]
    promise(not wrong, f"Of {len(wrong)} rows other columns are named than were damaged.")
