"""Have the relay go on after a position of this log, whatever it has published."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from eventstore.relay import relay


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--after", type=int, required=True, metavar="POSITION", help="0 for the whole log")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    relay.begin(options["after"])
    stdout.write(f"The relay goes on after {options['after']:,}.")
