"""Sell seats the way people buy them: paid, expired, refused, cancelled."""

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from eventstore.errors import Refused, StreamNotFound
from eventstore.management import arguments
from ordering.models import ConferenceSummary
from ordering.simulation import Simulation, on_sale, schedule

SEATS_PER_ORDER = 2
DEMO = (("DjangoCon Europe", 400, 75, 60), ("PyData Lisbon", 120, 30, 45), ("EventSourcing Days", 30, 12, 25))


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--orders", default=100, help="how many orders to place (100)")
        parser.add_argument("--seed", default=1, help="fixes every choice (1)")
        parser.add_argument("--rate", help="orders a second at most (as fast as it goes)")
        parser.add_argument("--conference", type=UUID, help="sell seats of this one (schedules a new one)")
        parser.add_argument("--demo", action="store_true", help="fill an empty database with a small sale and stop")

    def handle(self, **options: Any) -> None:
        try:
            orders = arguments.at_least_one("--orders", options["orders"])
            seed: int = arguments.value("--seed", options["seed"], int)
            rate = arguments.above_zero("--rate", options["rate"])
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        if options["demo"]:
            self._demo()
            return
        simulation = Simulation(seed, self._conference(options["conference"], orders))
        begun = time.monotonic()
        try:
            self._run(_paced(simulation.sell(orders), rate), orders, "selling")
        except KeyboardInterrupt:
            self.stderr.write("Stopped.")
        self._summary(simulation.outcomes, time.monotonic() - begun)

    def _demo(self) -> None:
        if ConferenceSummary.objects.exists():
            self.stdout.write("There are conferences already: nothing to fill.")
            return
        outcomes: Counter[str] = Counter()
        begun = time.monotonic()
        for seed, (name, seats, days, orders) in enumerate(DEMO, 1):
            simulation = Simulation(seed, schedule(name, seats=seats, starts_in=timedelta(days=days)))
            self._run(simulation.sell(orders), orders, name)
            outcomes += simulation.outcomes
        self._summary(outcomes, time.monotonic() - begun)

    def _conference(self, conference_id: UUID | None, orders: int) -> UUID:
        if conference_id is None:
            return schedule("Simulated conference", seats=orders * SEATS_PER_ORDER)
        try:
            return on_sale(conference_id).id
        except StreamNotFound as error:
            raise CommandError(f"There is no conference {conference_id}.") from error

    def _run(self, outcomes: Iterable[str], orders: int, title: str) -> None:
        columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(file=self.stderr)) as progress:  # type: ignore[arg-type]  # writes like a file
            task = progress.add_task(title, total=orders)
            for _ in outcomes:
                progress.advance(task)

    def _summary(self, outcomes: Counter[str], seconds: float) -> None:
        table = Table("outcome", "orders")
        table.columns[1].justify = "right"
        for outcome, count in outcomes.most_common():
            table.add_row(outcome, str(count))
        orders = outcomes.total()
        table.caption = f"{orders} orders in {seconds:.1f} s, {orders / max(seconds, 0.001):.1f} a second"
        Console(file=self.stdout).print(table)  # type: ignore[arg-type]  # the same


def _paced(outcomes: Iterator[str], rate: float | None) -> Iterator[str]:
    """No faster than `rate` a second."""
    due = time.monotonic()
    for outcome in outcomes:
        yield outcome
        if rate:
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
