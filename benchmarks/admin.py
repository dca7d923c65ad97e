"""What a page of the admin costs, on a site that has just begun and on one that has sold for years.

Both are on one PostgreSQL, and their pages are opened by turns. Opened is what can be reached from the front page, once
of each kind: each list, each list with each of its filters, each object's page, each question before an action.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import msgspec

from benchmarks import report
from benchmarks.environment import BASE_DIR, Variables, servers
from benchmarks.errors import BenchmarkFailed
from benchmarks.pages import Took
from benchmarks.report import Report, Target, say

SMALL, LARGE = (10_000, 1_000, 50, 5), (2_000_000, 200_000, 10_000, 100)
"""Events, orders, parked events and conferences."""

SHOWN = 12
TARGETS = {
    "slowest_page_ms": Target(at_most=150, meaning="time of the site for the slowest page, of the large one"),
    "most_statements": Target(at_most=15, meaning="statements of the page that asks most, of the large one"),
    "largest_vs_smallest": Target(at_most=1.3, meaning="a page of the large site / of the small one, the worst"),
}
MEANING = {
    "page": "opened by a client within the process: middleware, view and template, no network",
    "_ms": "the median of the rounds",
    "small, large": "events, orders, parked events, conferences",
    "largest_vs_smallest": "of the medians; pages that take less than 20 ms of the small site count as 20 ms there",
}
LEAST_MS = 20.0
"""Below this a page takes what the machine makes of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    for name, numbers in (("small", SMALL), ("large", LARGE)):
        parser.add_argument(
            f"--{name}", type=int, nargs=4, default=numbers, metavar=("EVENTS", "ORDERS", "PARKED", "CONFERENCES"),
            help=f"the {name} site ({' '.join(map(str, numbers))})",
        )  # fmt: skip


def run(options: argparse.Namespace) -> Report:
    """Make both sites, find their pages, then open all of them, once a round."""
    say("starting servers")
    with servers() as environment:
        variables = {name: environment.database(name) for name in ("small", "large")}
        for name, site in variables.items():
            numbers = getattr(options, name)
            say(f"the {name} site: {numbers[0]:,} events")
            made = subprocess.run(
                [sys.executable, "-m", "benchmarks.years", *map(str, numbers)], cwd=BASE_DIR, env=site, check=False
            )
            if made.returncode:
                raise BenchmarkFailed(f"The {name} site could not be made; why stands above.")
        measured = report.circumstances(
            variables["large"]["DATABASE_URL"], rounds=options.rounds, small=options.small, large=options.large
        )
        with _visitor(variables["small"]) as small, _visitor(variables["large"]) as large:
            kinds = sorted(small.pages.keys() & large.pages.keys())
            say(f"{len(kinds)} kinds of pages")
            took: dict[str, list[tuple[Took, Took]]] = {kind: [] for kind in kinds}
            for number in range(1, options.rounds + 1):
                say(f"round {number} of {options.rounds}")
                for kind in kinds:
                    took[kind].append((small.opened(kind), large.opened(kind)))
    return _report(took, measured | {"meaning": MEANING})


class Visitor:
    """A process that opens pages of one site."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pages = msgspec.json.decode(self._line(), type=dict[str, str])

    def opened(self, kind: str) -> Took:
        """Its page of this kind, once more."""
        assert self._process.stdin
        self._process.stdin.write(f"{kind}\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(), type=Took)

    def _line(self) -> str:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise BenchmarkFailed("Who opens the pages ended early; why stands above.")
        return line


@contextmanager
def _visitor(variables: Variables) -> Iterator[Visitor]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.pages"],
        cwd=BASE_DIR, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Visitor(process)
    finally:
        process.kill()
        process.communicate()


def _report(took: dict[str, list[tuple[Took, Took]]], measured: dict[str, object]) -> Report:
    kinds = list(took)
    small, large = ({kind: median(each[site].ms for each in took[kind]) for kind in kinds} for site in (0, 1))
    asked = {kind: took[kind][-1][1].statements for kind in kinds}
    grown = {kind: max(large[kind], LEAST_MS) / max(small[kind], LEAST_MS) for kind in kinds}
    slowest, worst = max(kinds, key=large.__getitem__), max(kinds, key=grown.__getitem__)
    made = report.table("The slowest pages", "", "small ms", "large ms", "large / small", "statements")
    chosen = sorted(kinds, key=large.__getitem__, reverse=True)[:SHOWN]
    for kind in dict.fromkeys([*chosen, worst, max(kinds, key=asked.__getitem__)]):
        made.add_row(kind, f"{small[kind]:.1f}", f"{large[kind]:.1f}", f"{grown[kind]:.2f}", str(asked[kind]))
    return Report(
        title=f"What {len(kinds)} kinds of pages of the admin cost",
        ratios={"largest_vs_smallest": grown[worst]},
        figures={
            "slowest_page_ms": large[slowest],
            "median_page_ms": median(large.values()),
            "most_statements": max(asked.values()),
            "pages": len(kinds),
        },
        measured=measured
        | {
            "slowest page": slowest,
            "grown most": worst,
            "pages over a bound": {
                kind: [round(small[kind], 1), round(large[kind], 1), asked[kind]]
                for kind in kinds
                if large[kind] > 150 or asked[kind] > 15 or grown[kind] > 1.3
            },
        },
        targets=TARGETS,
        tables=[made],
    )
