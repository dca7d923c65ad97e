"""Where the time of a sale goes, by one client in this process: at the database, trip by trip, and in Python.

Each contender sells undisturbed, to know what a sale takes, and with its connection traced, to know what it waits for.
Ours also sells under cProfile, which makes Python slower but says where it is. Imported once Django knows the database.
"""

import cProfile
import pstats
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from benchmarks import alone, buyers, report
from benchmarks.alone import Passed
from benchmarks.clients import Job
from benchmarks.plain import buyers as plain
from benchmarks.report import say
from eventstore import database

CONTENDERS: dict[str, Callable[[int, int], Job]] = {"": buyers.Buy, "plain_": plain.Buy}
NAMES = {"": "ours", "plain_": "plain"}
FIRST_TIMES = 20
MOST = 30  # lines of a table

_PACKAGES = ("eventstore", "projections", "sagas", "ordering", "benchmarks", "django", "psycopg", "celery", "kombu")
_OURS = _PACKAGES[:4]
_SENDING = ("wait", "send", "communicate", "exec_command")  # what functions of psycopg are called that do

Stats = dict[tuple[str, int, str], tuple[int, int, float, float]]


def count(sales: int) -> dict[str, float]:
    """Round trips and transactions a sale, of both."""
    figures = dict[str, float]()
    for prefix, kind in CONTENDERS.items():
        figures |= _counted(prefix, _trace(_ready(kind), sales))
    return figures


def break_down(sales: int) -> tuple[dict[str, float], list[Table]]:
    """The same and where the time of a sale goes, ms each; and tables that say it in more detail."""
    figures, tables = dict[str, float](), list[Table]()
    for prefix, kind in CONTENDERS.items():
        name, job = NAMES[prefix], _ready(kind)
        say(f"selling {sales} times undisturbed: {name}")
        plainly = _sell(job, sales)
        say(f"selling {sales} times, traced: {name}")
        followed = _trace(job, sales)
        figures |= _times(prefix, plainly) | _counted(prefix, followed) | _waits(prefix, followed)
        tables.append(_trips_table(f"What a sale waits for, {name}", followed))
        if not prefix:
            say(f"selling {sales} times under cProfile: {name}")
            stats = _profile(job, sales)
            figures |= _parts(stats, sales)
            tables += _packages_table(stats, sales), _functions_table(stats, sales)
    return figures, [_summary(figures), *tables]


def _ready(kind: Callable[[int, int], Job]) -> Job:
    job = kind(0, 1)
    _sell(job, FIRST_TIMES)
    return job


def _sell(job: Job, sales: int) -> Passed:
    return alone.repeat(job, sales, database.session())


def _trace(job: Job, sales: int) -> Passed:
    return alone.trace(job, sales, database.session())


def _profile(job: Job, sales: int) -> Stats:
    profile = cProfile.Profile()
    profile.runcall(_sell, job, sales)
    found: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # undocumented, but for decades
    return {function: values[:4] for function, values in found.items()}


def _times(prefix: str, passed: Passed) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in passed.each().items()}


def _counted(prefix: str, passed: Passed) -> dict[str, float]:
    return {
        f"{prefix}round_trips": passed.round_trips,
        f"{prefix}transactions": passed.transactions,
    }


def _waits(prefix: str, passed: Passed) -> dict[str, float]:
    commits_waited = sum(trip.waited for trip in passed.trips if trip.commits)
    return {
        f"{prefix}commits": sum(trip.commits for trip in passed.trips) / passed.times,
        f"{prefix}commits_ms": commits_waited * 1e3 / passed.times,
        f"{prefix}waited_ms": sum(trip.waited for trip in passed.trips) * 1e3 / passed.times,
        f"{prefix}traced_ms": passed.seconds * 1e3 / passed.times,
    }


def _parts(stats: Stats, sales: int) -> dict[str, float]:
    """What encoding and decoding events and folding them takes, under cProfile."""
    whole = defaultdict[str, float](float)
    for (file, _, name), (_, _, _, seconds) in stats.items():
        whole[f"{_module(file)}: {name}"] += seconds * 1e3 / sales
    rows = (
        whole["projections.projection: fold"] - whole["projections.tables: load"] - whole["projections.tables: write"]
    )
    return {
        "encode_ms": whole["eventstore.codec: encode"],
        "decode_ms": whole["eventstore.codec: decode"],
        "fold_ms": whole["eventstore.aggregates: evolve"] + rows,
    }


def _summary(figures: dict[str, float]) -> Table:
    made = report.table("A sale by one client", "", *NAMES.values())
    for name in (each for each in figures if not each.startswith("plain_")):
        made.add_row(
            name, *(f"{figures[each]:.2f}" if (each := f"{prefix}{name}") in figures else "" for prefix in NAMES)
        )
    return made


def _trips_table(title: str, passed: Passed) -> Table:
    made = report.table(title, "the statements of a round trip", "a sale", "ms a sale")
    made.columns[0].no_wrap = False
    waits = defaultdict[str, list[float]](list)
    for trip in passed.trips:
        waits[trip.what].append(trip.waited)
    for what, seconds in sorted(waits.items(), key=lambda item: -sum(item[1])):
        made.add_row(what, f"{len(seconds) / passed.times:.2f}", f"{sum(seconds) * 1e3 / passed.times:.3f}")
    return made


def _packages_table(stats: Stats, sales: int) -> Table:
    made = report.table("Whose code it is, under cProfile, ours", "", "calls a sale", "own ms a sale", "%")
    calls, seconds = Counter[str](), defaultdict[str, float](float)
    for function, (_, count, own, _) in stats.items():
        calls[_package(function)] += count
        seconds[_package(function)] += own
    whole = sum(seconds.values())
    for package, own in sorted(seconds.items(), key=lambda item: -item[1]):
        made.add_row(package, f"{calls[package] / sales:,.0f}", f"{own * 1e3 / sales:.3f}", f"{100 * own / whole:.1f}")
    return made


def _functions_table(stats: Stats, sales: int) -> Table:
    made = report.table("Functions with all that they call, under cProfile, ours", "", "calls a sale", "ms", "own ms")
    ours = {function: values for function, values in stats.items() if _package(function) in _OURS}
    for (file, _, name), (_, calls, own, whole) in sorted(ours.items(), key=lambda item: -item[1][3])[:MOST]:
        numbers = (f"{each * 1e3 / sales:.3f}" for each in (whole, own))
        made.add_row(f"{_module(file)}: {name}", f"{calls / sales:.1f}", *numbers)
    return made


def _module(file: str) -> str:
    return ".".join(Path(file).with_suffix("").parts[-2:])


def _package(function: tuple[str, int, str]) -> str:
    file, _, name = function
    if file == "~":
        return "msgspec" if "msgspec" in name else "built-in functions"
    found = next((part for part in reversed(Path(file).parts[:-1]) if part in _PACKAGES), "everything else")
    if found == "psycopg" and any(word in name for word in _SENDING):
        return "psycopg, sending and waiting"
    return found
