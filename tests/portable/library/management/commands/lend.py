"""Lend one book, and see all that follows from it."""

from django.core.management.base import BaseCommand

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.errors import DomainError
from library import domain
from library.models import Shelf
from projections.as_of import row_as_of
from projections.rebuild import builder, generations
from projections.testing import assert_rebuild_equals_live, project
from sagas.effects import delivery


class Command(BaseCommand):
    def handle(self, **options):
        book = new_id()
        assert dispatch(domain.Buy(book_id=book, title="Ulysses")).settled
        assert dispatch(domain.Lend(book_id=book, reader="Ada")).settled
        try:
            dispatch(domain.Lend(book_id=book, reader="Alan"))
        except DomainError as refusal:
            assert refusal.code == "already-lent"  # noqa: PT017 - this is no test, but a program
        else:
            raise AssertionError("lent twice")
        assert_rebuild_equals_live("shelves")
        generation = generations.rebuild("shelves")
        assert builder.complete(generation).status == "live"
        shelf = Shelf.objects.get(pk=book)
        assert (shelf.title, shelf.lent_to, shelf.reminders) == ("Ulysses", "Ada", 1)
        bought = row_as_of(domain.Shelves(), str(book), 1)
        assert bought is not None
        assert (bought.title, bought.lent_to) == ("Ulysses", Shelf(book_id=book).lent_to)
        events = domain.Bought(book_id=book, title="Ulysses"), domain.Lent(book_id=book, reader="Ada")
        assert project(domain.Shelves, *events)[book].lent_to == "Ada"
        while delivery.deliver_one(domain.send_note):
            pass
        assert domain.sent == [book]
        self.stdout.write("lent, reminded, rebuilt")
