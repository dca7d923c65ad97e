"""What a benchmark found: tables to read, or one JSON object."""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import psycopg
from rich.console import Console
from rich.table import Table

PARTS = ("Django", "psycopg", "msgspec", "eventsourcing")


def say(line: str) -> None:
    """Progress, which is never part of the answer."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Target:
    """What a ratio or a figure is to reach, and what it tells."""

    at_least: float | None = None
    meaning: str = ""
    at_most: float | None = None

    @property
    def bound(self) -> str:
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"

    def reached(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass
class Report:
    """`ratios` are of two figures, `figures` have their unit in the name or are a second, `measured` says how."""

    title: str
    ratios: Mapping[str, float]
    figures: Mapping[str, float]
    measured: Mapping[str, Any]
    targets: Mapping[str, Target] = field(default_factory=dict)
    tables: Sequence[Table] = ()

    def show(self, *, json: bool) -> None:
        if json:
            answer = {
                "ratios": {name: round(value, 3) for name, value in self.ratios.items()},
                "figures": {name: round(value, 3) for name, value in self.figures.items()},
                "measured": self.measured,
            }
            print(msgspec.json.encode(answer).decode())
            return
        console = Console(highlight=False)
        console.print(self.title, style="bold")
        for table in self.tables:
            console.print(table)
        if self.targets:
            console.print(self._compared())
        for name, value in self.measured.items():
            if not isinstance(value, Mapping):
                console.print(f"[dim]{name}: {value}[/dim]", soft_wrap=True)

    def _compared(self) -> Table:
        compared = table("What was to be reached", "", "measured", "to reach", "")
        compared.columns[0].no_wrap = False
        found = {**self.figures, **self.ratios}
        for name, target in self.targets.items():
            compared.add_row(
                f"{name}: {target.meaning}",
                f"{found[name]:.2f}",
                target.bound,
                "[green]reached[/green]" if target.reached(found[name]) else "[red]missed[/red]",
            )
        return compared


def table(title: str, *columns: str) -> Table:
    """Names on the left, numbers on the right."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", no_wrap=True)
    return made


def circumstances(url: str, **more: Any) -> dict[str, Any]:
    """The machine, the versions, and what makes a database durable or not; `url` is any database of the server."""
    with psycopg.connect(url) as connection:
        postgres = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        }
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "load before": round(os.getloadavg()[0], 2),
        "ms to flush a page to disk here": round(_flush() * 1e3, 3),
        "Python": platform.python_version(),
        **{part: version(part) for part in PARTS},
        "PostgreSQL": ", ".join(f"{name} {value[0]}" for name, value in postgres.items() if value),
        **more,
    }


def _flush() -> float:
    """Seconds that a commit waits for the disk at least: the median of a few fdatasync in the temporary folder."""
    times = []
    with tempfile.NamedTemporaryFile(dir=Path(tempfile.gettempdir())) as file:
        for _ in range(50):
            file.write(bytes(8192))
            file.flush()
            before = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - before)
    return median(times)
