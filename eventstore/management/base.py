"""Commands about subscribers of one kind: subcommands that show them, and every operation that is done to that kind."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Protocol

from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from eventstore.errors import EventstoreError
from eventstore.management import gaps, operation, status
from eventstore.operations.base import Operation, operations
from eventstore.subscriptions.subscriber import Rank

INTERRUPTED = 130
"""The exit code of a program that was ended by Ctrl-C, as shells have it."""


class Subcommand(Protocol):
    """A subcommand: the module with this name that says in its docstring what it does."""

    __doc__: str | None

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, options: dict[str, Any], stdout: OutputWrapper) -> None: ...


class OperationsCommand(BaseCommand):
    """Every operation is a subcommand: it says what it will touch, and on a terminal asks whether to go on."""

    parts: ClassVar[Mapping[str, Subcommand]] = {}
    requires_system_checks = []  # they must work when something is wrong, and mend what some of the checks find

    def kinds(self) -> Iterable[type[Operation]]:
        """The operations that are its subcommands."""
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_subparsers(dest="subcommand", metavar="subcommand", required=True)
        for name, module in self.parts.items():
            part = chosen.add_parser(name, help=_first_line(module), description=module.__doc__)
            module.add_arguments(part)
            part.set_defaults(run=module.run)
        for kind in self.kinds():
            part = chosen.add_parser(kind.word, help=_first_line(kind), description=kind.__doc__)
            operation.add_arguments(part, kind)
            part.set_defaults(run=partial(operation.run, kind))

    def handle(self, **options: Any) -> None:
        try:
            options["run"](options, self.stdout)
        except EventstoreError as error:
            if options.get("json"):
                self.stdout.write(json.dumps({"error": error.code, "detail": str(error)}))
            raise CommandError(str(error), returncode=options.get("cannot", 1)) from error
        except KeyboardInterrupt:
            self.stderr.write("Stopped.")
            sys.exit(INTERRUPTED)


class SubscribersCommand(OperationsCommand):
    """About the subscribers of one kind."""

    rank: ClassVar[Rank]
    parts = {"status": status, "gaps": gaps}

    def kinds(self) -> Iterable[type[Operation]]:
        return (kind for kind in operations if self.rank in kind.ranks)

    def handle(self, **options: Any) -> None:
        super().handle(**options, rank=self.rank)


def _first_line(said: object) -> str:
    return (said.__doc__ or "").strip().partition("\n")[0]
