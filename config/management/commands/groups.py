"""The ready-made groups of staff: viewer, operator and manager."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config import groups


class Command(BaseCommand):
    help = "Show how the ready-made groups of staff differ from what they were made with, or restore one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_subparsers(dest="subcommand", metavar="subcommand", required=True)
        chosen.add_parser("list", help="Show each group, and how it differs from what it was made with.")
        again = chosen.add_parser("restore", help="Make a group again what it was made as; its members stay.")
        again.add_argument("group", choices=groups.NAMES)

    def handle(self, *, subcommand: str, **options: Any) -> None:
        if subcommand == "restore":
            groups.restore(options["group"])
        shown = [options["group"]] if subcommand == "restore" else groups.NAMES
        for name in shown:
            self._show(groups.standing(name))

    def _show(self, found: groups.Standing) -> None:
        if not found.exists:
            self.stdout.write(f"{found.name}: is not there")
            return
        changed = found.more or found.lacks
        self.stdout.write(f"{found.name}: {'changed by staff' if changed else 'as it was made'}")
        for sign, permissions in (("+", found.more), ("-", found.lacks)):
            for each in permissions:
                self.stdout.write(f"  {sign} {each}")
