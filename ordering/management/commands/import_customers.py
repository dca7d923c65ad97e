"""Register the customers of a file, CSV or JSON lines. Who was imported already is skipped, so it may be run again."""

from eventstore.management.importing import ImportCommand


class Command(ImportCommand):
    help = __doc__
    importer = "customers"
