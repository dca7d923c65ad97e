"""Books are lent, and whoever has one is reminded."""

from uuid import UUID

import msgspec

from eventstore import commands
from eventstore.aggregates import Aggregate, Command, command, handles, on
from eventstore.errors import DomainError
from eventstore.events import Event, event
from eventstore.imports.importer import Importer, LineRefused, importers
from eventstore.imports.lines import Fault
from eventstore.subscriptions import registry
from library.models import Shelf
from projections import projection
from projections.projection import Projection
from sagas import saga
from sagas.effects.effect import effect
from sagas.saga import Saga
from sagas.steps import Send


class AlreadyLent(DomainError):
    """Somebody has this book."""

    code = "already-lent"


@event("book.bought")
class Bought(Event):
    book_id: UUID
    title: str


@event("book.lent")
class Lent(Event):
    book_id: UUID
    reader: str


@event("book.reminded")
class Reminded(Event):
    book_id: UUID


@command("book.buy", stream="book_id")
class Buy(Command):
    book_id: UUID
    title: str


@command("book.lend", stream="book_id")
class Lend(Command):
    book_id: UUID
    reader: str


@command("book.remind", stream="book_id")
class Remind(Command):
    book_id: UUID


class Book(Aggregate, category="book"):
    lent: bool = False

    @handles(Buy, creates=True)
    def buy(self, command, facts):
        self.record(Bought(book_id=self.id, title=command.title))

    @handles(Lend)
    def lend(self, command, facts):
        if self.lent:
            raise AlreadyLent
        self.record(Lent(book_id=self.id, reader=command.reader))

    @handles(Remind)
    def remind(self, command, facts):
        self.record(Reminded(book_id=self.id))

    @on(Bought)
    def _bought(self, event):
        self.lent = False

    @on(Lent)
    def _lent(self, event):
        self.lent = True

    @on(Reminded)
    def _reminded(self, event):
        pass


class Shelves(Projection[Shelf], name="shelves"):
    model = Shelf

    @projection.on(Bought, key="book_id")
    def bought(self, row, event, meta):
        row.title = event.title

    @projection.on(Lent, key="book_id")
    def lent(self, row, event, meta):
        row.lent_to = event.reader

    @projection.on(Reminded, key="book_id")
    def reminded(self, row, event, meta):
        row.reminders += 1


class Nothing(msgspec.Struct):
    pass


class Reminders(Saga[Nothing], name="reminders"):
    state = Nothing

    @saga.on(Lent, key="book_id", starts=True)
    def lent(self, state, event, meta):
        yield Send(Remind(book_id=event.book_id))


sent = []


@effect("note", on=Reminded, after=["shelves"])
def send_note(event, meta):
    sent.append(event.book_id)


class Books(Importer):
    name, columns, needed = "books", {"title": "title"}, ("title",)

    def command(self, stream_id, values, options):
        if not values.get("title"):
            raise LineRefused([Fault("title", "A book has a title.")])
        return Buy(book_id=stream_id, title=values["title"])


commands.register(Book)
importers.register(Books())
registry.register(Shelves(), Reminders(), send_note)
