"""Django's `migrate`, run by the role that owns the tables unless told otherwise."""

from django.core.management.base import CommandParser
from django.core.management.commands import migrate

from eventstore.roles import owner_alias


class Command(migrate.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=owner_alias())
