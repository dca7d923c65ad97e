"""Book what a bank statement says has come in: CAMT.053, or CSV. What is booked already is not booked again."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ordering.providers.statements import booking
from ordering.providers.statements.line import StatementRefused


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what the lines are, and book nothing")
        parser.add_argument("--keep-unknown", action="store_true", help="keep money that names no payment as unmatched")
        parser.add_argument("--currency", default="", help="of a CSV file that doesn't say it")
        parser.add_argument("--decimal-separator", choices=[",", "."], help="of a CSV file where it isn't clear")
        parser.add_argument("--american-dates", action="store_true", help="12/31/2026 is a date of a CSV file")
        parser.add_argument("--column", action="append", default=[], metavar="FIELD=HEADER", help="of a CSV file")

    def handle(self, **options: Any) -> None:
        columns = dict(each.partition("=")[::2] for each in options["column"])
        how = {name: options[name] for name in ("currency", "decimal_separator", "american_dates")}
        try:
            with options["file"].open("rb") as file:
                judged = booking.judge(booking.read(file, {**how, "columns": columns or None}))
        except OSError as error:
            raise CommandError(f"{options['file']} can't be read: {error.strerror}.") from error
        except StatementRefused as refused:
            raise CommandError(str(refused)) from refused
        if options["dry_run"]:
            for each in judged:
                self.stdout.write(told(each))
            return
        booked = booking.book(judged, actor="manage.py", keep_unknown=options["keep_unknown"])
        for verdict, count in booked.items():
            self.stdout.write(f"{verdict}: {count}")


def told(judged: booking.Judged) -> str:
    """A line of a statement, what it is, the orders that it may be for, and why that isn't certain."""
    numbers = ", ".join(order.number for order in judged.orders)
    why = judged.why
    if judged.by_hand:
        why = f"As much was recorded by hand on {judged.by_hand.recorded_at:%Y-%m-%d}."
    return " ".join(filter(None, (f"{judged.line.number}: {judged.line.amount} {judged.verdict}", numbers, why)))
