"""Buy the books of a file."""

from eventstore.management.importing import ImportCommand


class Command(ImportCommand):
    help = __doc__
    importer = "books"
