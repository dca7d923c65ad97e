"""Hold the subscribers of this project to what the machinery relies on."""

from django.core.management.base import BaseCommand

from eventstore.context import new_id
from eventstore.testing.subscribers import CHECKS, given, rows
from library import domain
from library.models import Shelf
from sagas.models import Delivery, Instance, OutboxCommand

OF_THE_RUN = {"id", "started_at", "created_at", "moved_at", "due_at"}


class Command(BaseCommand):
    def handle(self, **options):
        for title in ("Ulysses", "Emma"):
            book = new_id()
            given(book, domain.Bought(book_id=book, title=title))
            given(book, domain.Lent(book_id=book, reader="Ada"), domain.Reminded(book_id=book))
        made = {
            domain.Shelves(): lambda: rows(Shelf.objects.all()),
            domain.Reminders(): lambda: rows(Instance.objects.all(), OutboxCommand.objects.all(), leave_out=OF_THE_RUN),
            domain.send_note: lambda: rows(Delivery.objects.all(), leave_out=OF_THE_RUN),
        }
        for subscriber, tell in made.items():
            for check in CHECKS:
                check(subscriber, tell)
        self.stdout.write("the contract is kept")
