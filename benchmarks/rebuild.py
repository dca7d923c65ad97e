"""How fast a read table is folded again from the log.

Order summaries are folded by one process from logs of two sizes, in two layouts: an order's events follow each other,
or lie far apart among those of other orders. Beside it a loop written by hand for this one table, the library
`eventsourcing`, and two processes that share the keys. Every run is a process of its own, and ends with a table that
has all its indexes: the peer's has them from the beginning, the others make those that aren't unique in the end.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

import msgspec
from rich.table import Table

from benchmarks import folding, history, peer_view, report
from benchmarks.environment import BASE_DIR, Variables, servers
from benchmarks.errors import BenchmarkFailed
from benchmarks.folding import Folded
from benchmarks.report import Report, Target, say

EVENTS = (500_000, 2_000_000)
SIZES = ("500k", "2m")
PEER_EVENTS = 20_000
LAYOUTS = {"adjacent": 0, "scattered": 10_000}  # how many positions lie between an order's events on average
SCHEMA = "benchmark_fold"
TARGETS = {
    "vs_loop": Target(0.65, "rebuild / hand-written loop, the worst of layouts and sizes"),
    "vs_peer": Target(50, "rebuild / eventsourcing"),
    "rate_2m_vs_500k": Target(0.9, "rate of the long log / of the short one"),
    "memory_2m_vs_500k": Target(None, "peak memory of the long log / of the short one", at_most=1.2),
    "two_shards_vs_one": Target(1.2, "two processes with half of the keys each / one, the long log, the worse layout"),
}
MEANING = {
    "rebuild": "events a second: read, decoded, folded by the declared handlers, written, indexed, swapped in",
    "loop": "lean columns streamed, decoded by msgspec, folded in a dict, copied once at the end, then indexed",
    "peer": "ProjectionRunner over PostgreSQL recorders: a transaction an event, all settings as they are by default",
    "shards": "two processes that each read the whole log by a condition, one of which indexes; wall clock of both",
    "_peak_mib": "the most memory that the process ever held",
}


@dataclass(frozen=True)
class Run:
    """One thing to measure: who folds which log, by how many processes side by side."""

    figure: str
    contender: str
    log: Variables
    processes: int = 1


@dataclass(frozen=True)
class Came:
    """What came of a run: events a second over all its processes, and the most memory of one."""

    rate: float
    peak_mib: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the median of (3)")
    parser.add_argument(
        "--events", type=int, nargs=2, default=EVENTS, metavar=("SHORT", "LONG"), help="of the two logs"
    )
    parser.add_argument("--peer-events", type=int, default=PEER_EVENTS, help=f"for the peer ({PEER_EVENTS})")


def run(options: argparse.Namespace) -> Report:
    """Load the logs, then all runs, once a round."""
    say("starting servers")
    with servers() as environment:
        runs: list[Run] = []
        for layout, apart in LAYOUTS.items():
            for size, events in zip(SIZES, options.events, strict=True):
                say(f"loading {events:,} events, {layout}")
                log = environment.database(f"{layout}_{size}")
                history.load(log["DATABASE_OWNER_URL"], events, apart=apart)
                figure = f"{layout}_{size}"
                runs += Run(f"rebuild_{figure}", "rebuild", log), Run(f"loop_{figure}", "loop", log)
                runs.append(Run(f"shards_{figure}", "rebuild", log, processes=2))
        peer = environment.database("peer")
        peer_view.sell(peer["DATABASE_OWNER_URL"], options.peer_events)
        runs.append(Run("peer", "peer", peer))
        measured = report.circumstances(
            peer["DATABASE_URL"],
            rounds=options.rounds,
            events=list(options.events),
            peer_events=options.peer_events,
            positions_apart=LAYOUTS,
        )
        results = play(runs, options.rounds)
    return _report(results, measured | {"meaning": MEANING})


def play(runs: list[Run], rounds: int) -> dict[str, list[Came]]:
    """All runs, once a round."""
    results: dict[str, list[Came]] = {run.figure: [] for run in runs}
    for number in range(1, rounds + 1):
        for run in runs:
            came = _measure(run)
            results[run.figure].append(came)
            say(f"round {number} of {rounds}: {run.figure:<24} {came.rate:>9,.0f} /s {came.peak_mib:>6,.0f} MiB")
    return results


def _measure(run: Run) -> Came:
    """Processes that begin together, once all are ready."""
    if run.contender != "rebuild":
        folding.make_table(run.log["DATABASE_OWNER_URL"], SCHEMA)
    arguments = [sys.executable, "-m", "benchmarks.folding", run.contender, SCHEMA]
    processes = [
        subprocess.Popen(
            [*arguments, str(index), str(run.processes)],
            cwd=BASE_DIR, env=run.log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for index in range(run.processes)
    ]  # fmt: skip
    try:
        for process in processes:
            _line(process)
        for process in processes:
            assert process.stdin
            process.stdin.write("begin\n")
            process.stdin.flush()
        folded = [msgspec.json.decode(_line(process), type=Folded) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    # Each ends once the whole is over: one at that moment, another when it looks the next time.
    seconds = min(one.ended for one in folded) - min(one.began for one in folded)
    return Came(sum(one.events for one in folded) / seconds, max(one.peak_mib for one in folded))


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise BenchmarkFailed("A measured process ended early; what it says stands above.")
    return line


def _report(results: dict[str, list[Came]], measured: dict[str, object]) -> Report:
    rates = {figure: median(came.rate for came in each) for figure, each in results.items()}
    peaks = {f"{figure}_peak_mib": median(came.peak_mib for came in each) for figure, each in results.items()}
    logs = [f"{layout}_{size}" for layout in LAYOUTS for size in SIZES]
    vs_loop = {f"vs_loop_{log}": rates[f"rebuild_{log}"] / rates[f"loop_{log}"] for log in logs}
    vs_one = {f"shards_vs_one_{log}": rates[f"shards_{log}"] / rates[f"rebuild_{log}"] for log in logs}
    ratios = {
        "vs_loop": min(vs_loop.values()),
        "vs_peer": rates["rebuild_adjacent_500k"] / rates["peer"],
        "rate_2m_vs_500k": min(rates[f"rebuild_{layout}_2m"] / rates[f"rebuild_{layout}_500k"] for layout in LAYOUTS),
        "memory_2m_vs_500k": max(
            peaks[f"rebuild_{layout}_2m_peak_mib"] / peaks[f"rebuild_{layout}_500k_peak_mib"] for layout in LAYOUTS
        ),
        "two_shards_vs_one": min(vs_one[f"shards_vs_one_{layout}_2m"] for layout in LAYOUTS),
    }
    spread = {figure: (min(c.rate for c in each), max(c.rate for c in each)) for figure, each in results.items()}
    return Report(
        title="How fast a read table is folded again",
        ratios=ratios,
        figures=rates | peaks | vs_loop | vs_one,
        measured=measured | {"slowest and fastest round": spread},
        targets=TARGETS,
        tables=[_table(rates, peaks)],
    )


def _table(rates: dict[str, float], peaks: dict[str, float]) -> Table:
    made = report.table(
        "Events folded a second, by one process", "log", "rebuild", "loop", "/ loop", "MiB", "MiB of loop"
    )
    for layout in LAYOUTS:
        for size in SIZES:
            ours, loop = (f"{contender}_{layout}_{size}" for contender in ("rebuild", "loop"))
            made.add_row(
                f"{layout}, {size}",
                f"{rates[ours]:,.0f}",
                f"{rates[loop]:,.0f}",
                f"{rates[ours] / rates[loop]:.2f}",
                *(f"{peaks[f'{figure}_peak_mib']:,.0f}" for figure in (ours, loop)),
            )
    return made
