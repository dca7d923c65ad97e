"""How many customers a second are imported from a file.

A file of customers is imported as `manage.py import_customers` does, read models fed. Beside it, in the same rounds,
customers like these are registered by one command each; and the limit, a bare COPY of the same rows into a plain table.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from statistics import median

import django
import psycopg

from benchmarks import report
from benchmarks.environment import servers
from benchmarks.errors import BenchmarkFailed
from benchmarks.report import Report, Target, say

ONE_BY_ONE = 20
"""Customers of a file for each that is registered by a command of its own."""

TARGETS = {
    "vs_one_by_one": Target(20, "imported / registered by one command each"),
    "customers_per_s": Target(5_000, "customers imported a second, on two cores that do nothing else"),
}
MEANING = {
    "customers": "imported a second: a file of CSV with name, email address and birth date is validated, decided and"
    " recorded, as two events each, until the last can be read; by one process",
    "one_by_one": "such customers registered a second, by one RegisterCustomer each, dispatched by one client and"
    " answered when it can be read; the file is read and validated in the same way",
    "copy": "rows a second of the same file in a COPY into a plain table without an index, and its COMMIT",
}

_PLAIN = """CREATE TABLE benchmark_copy (name text, email text, birth_date date);
    GRANT ALL ON benchmark_copy TO PUBLIC"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--customers", type=int, default=20_000, help="customers of each file (20,000)")


def run(options: argparse.Namespace) -> Report:
    """A round imports a file, registers a twentieth as many customers one by one, and copies the file."""
    say("starting servers")
    with servers() as environment:
        variables = environment.database("imports")
        os.environ.update(variables)
        django.setup()
        measured = report.circumstances(
            variables["DATABASE_URL"], rounds=options.rounds, customers=options.customers, meaning=MEANING
        )
        with psycopg.connect(variables["DATABASE_OWNER_URL"]) as connection:
            connection.execute(_PLAIN)
        rates = _play(options.rounds, options.customers, variables["DATABASE_URL"])
    return _report(rates, measured)


def _play(rounds: int, customers: int, url: str) -> dict[str, list[float]]:
    files = (_file(customers, number) for number in count())
    few = (_file(max(1, customers // ONE_BY_ONE), -number) for number in count(1))
    turns: dict[str, tuple[Callable[[bytes], int], Iterator[bytes]]] = {
        "customers": (_import, files),
        "one_by_one": (_register, few),
        "copy": (lambda file: _copy(file, url), files),
    }
    _import(_file(200, rounds + 1_000_000))  # so that everything is loaded and prepared
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(1, rounds + 1):
        for name, (turn, contents) in turns.items():
            content, begun = next(contents), time.monotonic()
            rate = turn(content) / (time.monotonic() - begun)
            rates[name].append(rate)
            say(f"round {number} of {rounds}: {name:<12} {rate:>12,.0f} /s")
    return rates


def _file(customers: int, number: int) -> bytes:
    """One of its own each time: nobody is in two of them."""
    born = [f"{1930 + each % 80}-{each % 12 + 1:02}-{each % 28 + 1:02}" for each in range(customers)]
    lines = (f"Ada Allen,ada.{number}.{each}@example.org,{born[each]}" for each in range(customers))
    return "\n".join(["name,email,birth_date", *lines, ""]).encode()


def _import(content: bytes) -> int:
    from eventstore.imports import runs
    from eventstore.imports.lines import Format
    from ordering.models import CustomerProfile

    file = BytesIO(content)
    run = runs.begin("customers", file, name="customers.csv", written=Format(), options={}, by="benchmark")
    *_, last = runs.carry_on(run, file)
    if last.refused or not CustomerProfile.objects.filter(email=_last_email(content)).exists():
        raise BenchmarkFailed("What was imported can't be read.")
    return last.carried_out


def _last_email(content: bytes) -> str:
    return content.rstrip().rsplit(b"\n", 1)[1].split(b",")[1].decode()


def _register(content: bytes) -> int:
    from eventstore.commands import dispatch
    from eventstore.context import new_id
    from eventstore.imports.importer import importers
    from eventstore.imports.lines import Format, Lines

    importer, registered = importers["customers"], 0
    for line in Lines(BytesIO(content), Format(), columns=importer.columns, needed=importer.needed):
        dispatch(importer.command(new_id(), importer.nested(line.values), {}))
        registered += 1
    return registered


def _copy(content: bytes, url: str) -> int:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY benchmark_copy FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write(content)
        return cursor.rowcount


def _report(rates: dict[str, list[float]], measured: dict[str, object]) -> Report:
    rate = {name: median(found) for name, found in rates.items()}
    table = report.table("Customers a second", "", "rate")
    for name, figure in rate.items():
        table.add_row(name, f"{figure:,.0f}")
    return Report(
        title="How many customers a second are imported from a file",
        ratios={
            "vs_one_by_one": rate["customers"] / rate["one_by_one"],
            "vs_copy": rate["customers"] / rate["copy"],
        },
        figures={f"{name}_per_s": figure for name, figure in rate.items()},
        measured=measured
        | {"slowest and fastest round": {name: [min(all_), max(all_)] for name, all_ in rates.items()}},
        targets=TARGETS,
        tables=[table],
    )
