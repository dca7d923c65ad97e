"""What an installation costs in which nothing happens: the CPU and the memory of all that `make run` starts."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from rich.table import Table

from benchmarks import report
from benchmarks.environment import BASE_DIR
from benchmarks.errors import BenchmarkFailed, promise
from benchmarks.report import Report, Target, say
from config import bundled
from config.bundled.server import tail
from config.bundled.valkey import free_port
from config.run import programs

HOST = "127.0.0.1"
READY_WITHIN = 120.0  # seconds
MEGABYTE = 1e6

TARGETS = {
    "cpu_percent": Target(at_most=4, meaning="of one core, all processes together"),
    "memory_mb": Target(at_most=700, meaning="all processes together"),
}
MEANING = {
    "cpu_percent": "the CPU time of all processes, those that came and went among them, while nobody asked for"
    " anything; in per cent of one core",
    "memory_mb": "the proportional set size (PSS) of all processes at the end, in 10^6 bytes: a page that several"
    " processes share is counted once",
    "supervisor": "what `make run` itself is, and the guardian that stops everything",
}


class Usage(NamedTuple):
    """What the processes of one program have used: seconds of CPU since they began, and bytes of memory now."""

    cpu: float = 0.0
    memory: float = 0.0
    processes: int = 0

    def plus(self, cpu: float, memory: float) -> "Usage":
        return Usage(self.cpu + cpu, self.memory + memory, self.processes + 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0, help="that are measured (60)")
    parser.add_argument(
        "--settle", type=float, default=90.0, help="seconds before, until what was needed at first is gone (90)"
    )


def run(options: argparse.Namespace) -> Report:
    """Always with servers of its own, as it counts what these use."""
    with installation() as installed:
        say(f"letting it settle for {options.settle:g} s")
        time.sleep(options.settle)
        measured = report.circumstances(installed.database_url(), seconds=options.seconds)
        say(f"looking at it for {options.seconds:g} s")
        began, before = time.monotonic(), installed.usage()
        time.sleep(options.seconds)
        after, seconds = installed.usage(), time.monotonic() - began
    cpu = {name: 100 * (usage.cpu - before.get(name, Usage()).cpu) / seconds for name, usage in after.items()}
    memory = {name: usage.memory / MEGABYTE for name, usage in after.items()}
    return Report(
        title="An installation in which nothing happens",
        ratios={},
        figures={
            "cpu_percent": sum(cpu.values()),
            "memory_mb": sum(memory.values()),
            **{f"cpu_percent_{name}": figure for name, figure in cpu.items()},
            **{f"memory_mb_{name}": figure for name, figure in memory.items()},
        },
        measured=measured | {"processes": sum(usage.processes for usage in after.values()), "meaning": MEANING},
        targets=TARGETS,
        tables=[_table(after, cpu, memory)],
    )


class Installation:
    """A running `make run`, seen from outside."""

    def __init__(self, supervisor: int, home: bundled.Home, port: int) -> None:
        self._supervisor = psutil.Process(supervisor)
        self._names = {program.command: program.name for program in programs(home, HOST, port)}

    def usage(self) -> dict[str, Usage]:
        """What each program has used so far. A process that ended is counted with the one that waited for it."""
        found: dict[str, Usage] = defaultdict(Usage)
        found["supervisor"] = _used_by(self._supervisor, Usage())
        for child in self._supervisor.children():
            name = self._name(child)
            for process in (child, *child.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    found[name] = _used_by(process, found[name])
        return dict(found)

    def database_url(self) -> str:
        """What the programs were told."""
        children = self._supervisor.children()
        told: dict[str, str] = next(each.environ() for each in children if self._name(each) in self._names.values())
        return told["DATABASE_URL"]

    def _name(self, child: psutil.Process) -> str:
        """Of the program that this is, or of the server."""
        servers = {"postgres": "postgresql", "valkey-server": "valkey"}
        return self._names.get(tuple(child.cmdline())) or servers.get(child.name(), "supervisor")


def _used_by(process: psutil.Process, others: Usage) -> Usage:
    with process.oneshot():
        return others.plus(sum(process.cpu_times()[:4]), process.memory_full_info().pss)


@contextmanager
def installation() -> Iterator[Installation]:
    """What `make run` starts, in a home of its own, from when all of it is there until the block ends."""
    root = Path(tempfile.mkdtemp(prefix="boxoffice-benchmark-"))
    port, log = free_port(), root / "run.log"
    elsewhere = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "BROKER_URL", "EMAIL_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    environment |= {"BOXOFFICE_HOME": str(root), "HOST": HOST, "PORT": str(port)}
    say("starting what `make run` starts")
    with log.open("wb") as output:
        command = [sys.executable, "-m", "config.run", "--with-parent"]
        process = subprocess.Popen(
            command, cwd=BASE_DIR, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_ready(process, port, log)
        yield Installation(process.pid, bundled.Home(root), port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(root, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not _is_ready(port):
        if process.poll() is not None:
            raise BenchmarkFailed(f"It ended while starting:\n{tail(log)}")
        promise(time.monotonic() < deadline, f"Not ready within {READY_WITHIN:.0f} s:\n{tail(log)}")
        time.sleep(0.2)


def _is_ready(port: int) -> bool:
    """Whether the site answers, has all its workers, and is content."""
    try:
        with urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as answer:
            return bool(json.load(answer)["status"] == "ok")
    except (URLError, OSError):
        return False


def _table(after: Mapping[str, Usage], cpu: Mapping[str, float], memory: Mapping[str, float]) -> Table:
    made = report.table("Where it goes", "", "processes", "CPU, %", "memory, MB")
    for name in sorted(after, key=lambda name: memory[name], reverse=True):
        made.add_row(name, str(after[name].processes), f"{cpu[name]:.2f}", f"{memory[name]:.1f}")
    made.add_section()
    processes = sum(usage.processes for usage in after.values())
    made.add_row("all", str(processes), f"{sum(cpu.values()):.2f}", f"{sum(memory.values()):.1f}")
    return made
