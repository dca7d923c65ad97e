"""Keep what streams hold under the present claim keys, and under no others."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from eventstore import store
from eventstore.claims import Rehashed, rehash
from eventstore.management.terminal import add_json, reading_bar, write_json

SHOWN = 10


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say how many there are, and write nothing")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` where some can't be, and in a dry run where some are to be."""
    dry_run, reached, total = options["dry_run"], Rehashed(), store.count_holders()
    with reading_bar(stdout, quiet=options["json"]) as show_progress:
        for reached in rehash(dry_run=dry_run):
            show_progress(reached.streams, total)
    if options["json"]:
        write_json(stdout, reached)
    else:
        did = "are to be" if dry_run else "were"
        stdout.write(
            f"Of {reached.streams:,} streams that hold values, the claims of {reached.renewed:,} {did} renewed."
        )
    if left := [*reached.taken, *reached.unknown]:
        named = ", ".join(map(str, left[:SHOWN]))
        raise CommandError(
            f"Streams that hold what others hold: {len(reached.taken):,}. Streams that hold what is unknown here: "
            f"{len(reached.unknown):,}. {named}"
        )
    if dry_run and reached.renewed:
        raise CommandError("Claims are to be renewed.", returncode=2)
