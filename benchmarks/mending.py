"""The third act of the drill: the damaged read model is rebuilt while people read it and write to its orders."""

import subprocess
import sys
import time

from benchmarks import folding
from benchmarks.environment import BASE_DIR
from benchmarks.errors import promise
from benchmarks.folding import TABLE
from benchmarks.report import say
from benchmarks.rounds import percentiles
from benchmarks.site import NAME, Site, caught_up, fold, select, until
from benchmarks.traffic import Passed, traffic
from projections.operations import Rebuild

SCHEMA = "drill_by_hand"
PATIENCE = 60.0

_COLUMNS = """order_id, number, customer_id, conference_id, status, lines, total, currency, placed_at, expires_at,
    payment_id, payment_status, payment_amount, version, as_of"""
_COMPARED = f"""SELECT (SELECT count(*) FROM {TABLE}), count(*) FROM (
    (SELECT {_COLUMNS} FROM {TABLE} EXCEPT ALL SELECT {_COLUMNS} FROM {SCHEMA}.{TABLE})
    UNION ALL (SELECT {_COLUMNS} FROM {SCHEMA}.{TABLE} EXCEPT ALL SELECT {_COLUMNS} FROM {TABLE})) AS differing"""


def mend(site: Site, seconds: float, throttle: int | None) -> dict[str, float]:
    """Writes and reads for so many seconds, then during a rebuild, of at most so many events a second.

    Raises `BenchmarkFailed` if a read goes wrong, or if the rows are not those that a loop written by hand makes of the
    same log.
    """
    passed = list[Passed]()
    with site.environment.start("worker", site.variables), traffic(site.variables) as flow:
        say("reading and writing")
        with flow.flowing(passed):
            time.sleep(seconds)
        say("rebuilding meanwhile")
        with flow.flowing(passed):
            generation, took = fold(Rebuild(target=NAME, throttle=throttle), "live")
        until(caught_up, PATIENCE, "the worker feeds the rebuilt read model")
    say("folding by hand")
    _judge_rows(site)
    before, during = passed
    events = sum(part.processed for part in generation.parts.all())
    return {
        "rebuild_s": took,
        "rebuild_events_per_s": events / took,
        "reads": len(during.reads),
        "longest_read_ms": max(during.reads) * 1e3,
        "longest_read_before_ms": max(before.reads) * 1e3,
        "writes_per_s": during.writes_per_s,
        "writes_per_s_before": before.writes_per_s,
        "write_p99_ms": percentiles(during.writes)[1],
        "write_p99_before_ms": percentiles(before.writes)[1],
    }


def _judge_rows(site: Site) -> None:
    folding.make_table(site.variables["DATABASE_OWNER_URL"], SCHEMA)
    by_hand = subprocess.run(
        [sys.executable, "-m", "benchmarks.folding", "loop", SCHEMA, "0", "1"],
        cwd=BASE_DIR, env=site.variables, input=b"begin\n", capture_output=True, check=False,
    )  # fmt: skip
    promise(by_hand.returncode == 0, f"The loop by hand failed: {by_hand.stderr.decode()}")
    with site.as_owner() as owner:
        ((rows, differing),) = select(owner, _COMPARED)
    promise(rows > 0 and differing == 0, f"Of {rows:,} rows {differing} are not what a fold by hand makes of the log.")
