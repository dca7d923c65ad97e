"""Every system check, on a small app that has just this one fault."""

from pathlib import Path

import pytest

from tests.integration.fork_server import try_manage
from tests.integration.test_portable import project

__all__ = ["project"]

EVENT = """
@event("book.burnt")
class Burnt(Event):
    book_id: UUID
"""
COMMAND = """
@command("book.burn", stream="book_id")
class Burn(Command):
    book_id: UUID
"""
BROKEN = {
    "eventstore.E001": """
@event("book.lent")
class LentAgain(Event):
    book_id: UUID
""",
    "eventstore.E002": EVENT,
    "eventstore.E003": """
class Stamp(Aggregate, category="stamp"):
    @on(Lent)
    def _lent(self, event): ...

commands.register({Stamp: ()})
""",
    "eventstore.E004": EVENT.replace('"book.burnt"', '"book.burnt", version=2, standalone=True'),
    "eventstore.E005": COMMAND.replace("book.burn", "book.lend") + "commands.register({Book: (Burn,)})",
    "eventstore.E006": COMMAND + "commands.register({Book: (Burn,)})",
    "eventstore.E007": COMMAND
    + """
class Stamp(Aggregate, category="stamp"):
    @handles(Burn)
    def burn(self, command, facts): ...

    @handles(Burn)
    def burn_again(self, command, facts): ...

commands.register({Stamp: (Burn,)})
""",
    "eventstore.E008": COMMAND.replace('"book_id"', '"id"') + "commands.register({Book: (Burn,)})",
    "eventstore.E009": COMMAND
    + """
class Stamp(Aggregate, category="stamp"):
    @handles(Burn)
    def burn(self, command, facts): ...

commands.register({Stamp: ()})
""",
    "eventstore.E014": "registry.register(Shelves())",
    "eventstore.E015": """
from eventstore.subscriptions.subscriber import Rank, Subscriber

class Nosy(Subscriber):
    name, rank, types = "nosy", Rank.PROJECTION, frozenset({"book.sung"})
    def keys(self, recorded): return ()
    def apply(self, cursor, work): ...
    def begins_at(self, head): return 0

registry.register(Nosy())
""",
    "eventstore.E016": "Shelves.uses = ('catalogue',)",
    "eventstore.E017": """
from eventstore.subscriptions.subscriber import Mode

Shelves.uses = ("reminders",)
Reminders.declared_mode = Mode.ASYNC
""",
    "projections.E001": """
class Other(Projection[Shelf], name="other"):
    model = Shelf

    @projection.on(Bought, key="book_id")
    def bought(self, row, event, meta): ...

registry.register(Other())
""",
    "projections.E002": """
class Idle(Projection[Shelf], name="idle"):
    model = Shelf

registry.register(Idle())
""",
    "projections.E003": """
class Twice(Projection[Shelf], name="twice"):
    model = Shelf

    @projection.on(Bought, key="book_id")
    def bought(self, row, event, meta): ...

    @projection.on(Bought, key="book_id")
    def bought_again(self, row, event, meta): ...

registry.register(Twice())
""",
    "projections.E004": """
class Keyless(Projection[Shelf], name="keyless"):
    model = Shelf

    @projection.on(Bought, key="isbn")
    def bought(self, row, event, meta): ...

registry.register(Keyless())
""",
    "projections.E013": """
from library.models import Card

class Cards(Projection[Card], name="cards"):
    model = Card

    @projection.on(Lent, key="book_id", look_up=(Shelf, "book_id"))
    def lent(self, row, event, meta, shelf): ...

registry.register(Cards())
""",
    "sagas.E001": """
class Late(Saga[Nothing], name="late"):
    state = Nothing

    @saga.on(Lent, key="book_id")
    def lent(self, state, event, meta): ...

registry.register(Late())
""",
    "sagas.E002": """
class Twice(Saga[Nothing], name="twice"):
    state = Nothing

    @saga.on(Lent, key="book_id", starts=True)
    def lent(self, state, event, meta): ...

    @saga.on(Lent, key="book_id", starts=True)
    def lent_again(self, state, event, meta): ...

registry.register(Twice())
""",
    "sagas.E002 refusals": """
class Forgetful(Saga[Nothing], name="forgetful"):
    state = Nothing

    @saga.on(Lent, key="book_id", starts=True)
    def lent(self, state, event, meta): ...

    @saga.on_refusal(Remind, Remind)
    def not_reminded(self, state, event, meta): ...

registry.register(Forgetful())
""",
    "sagas.E011": """
from sagas.refusal import CommandRefused

class Curious(Saga[Nothing], name="curious"):
    state = Nothing

    @saga.on(Lent, key="book_id", starts=True)
    def lent(self, state, event, meta): ...

    @saga.on(CommandRefused, key="key")
    def refused(self, state, event, meta): ...

registry.register(Curious())
""",
    "sagas.E003": """
class Keyless(Saga[Nothing], name="keyless"):
    state = Nothing

    @saga.on(Lent, key="isbn", starts=True)
    def lent(self, state, event, meta): ...

registry.register(Keyless())
""",
    "sagas.E005": """
class Reminders2(Saga[Nothing], name="patient", former=(Reminders,)):
    state = Nothing

    @saga.on(Lent, key="book_id", starts=True)
    def lent(self, state, event, meta): ...

registry.register(Reminders2())
""",
    "sagas.E006": """
class Patient(Saga[Nothing], name="patient", version=2, former=(Reminders,)):
    state = Nothing

    @saga.on(Lent, key="book_id", starts=True)
    def lent(self, state, event, meta): ...

registry.register(Patient())
""",
    "sagas.E004": """
@effect("telegram", on=Reminded, after=["reminders"])
def send_telegram(event, meta): ...

registry.register(send_telegram)
""",
}

MISCONFIGURED = {
    "eventstore.E020": 'EVENTSTORE_ONLY = ["shelfs"]',
    "eventstore.E022": 'EVENTSTORE_HALT_AT = "many"',
    "eventstore.E023 EVENTSTORE_NOTIFIERS": 'EVENTSTORE_TELL = ["library.pager"]',
    "eventstore.E023 EVENTSTORE_RAISE_AFTER_SECONDS": "EVENTSTORE_LASTS_SECONDS = 5",
    "projections.E015": "PROJECTIONS_VERIFY_SAMPLE = 2",
    "sagas.E010": 'EFFECTS_TIME_ZONE = "Berlin"',
    "sagas.E007 sagas": 'SAGAS_BEGIN_AFTER = {"reminder": 0}',
    "sagas.E007 effects": 'EFFECTS_QUEUES = {"notes": "slow"}',
    "sagas.E007 effect as a saga": 'SAGAS_BEGIN_AFTER = {"note": 0}',
    "sagas.E007 saga as an effect": 'EFFECTS_RATES = {"reminders": "5"}',
    "sagas.E007 pattern": 'EFFECTS_WINDOWS = {"notes.*": "08:00-21:00"}',
    "sagas.E007 pattern of sagas": 'EFFECTS_WINDOWS = {"remind*": "08:00-21:00"}',
    "sagas.E008 position": 'SAGAS_BEGIN_AFTER = {"reminders": "yesterday"}',
    "sagas.E008 rate": 'EFFECTS_RATES = {"note": "-1"}',
    "sagas.E009": 'EFFECTS_WINDOWS = {"note": "8-21"}',
}

CARD = """

class Card(ReadModel):
    book_id = models.UUIDField(primary_key=True)
"""

TABLES = {
    "projections.E005": ("models.Model", "book_id = models.UUIDField(primary_key=True)"),
    "projections.E006": ("ReadModel", "title = models.TextField()"),
    "projections.E007 relation": (
        "ReadModel",
        """book_id = models.UUIDField(primary_key=True)
    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE)""",
    ),
    "projections.E007 generated": (
        "ReadModel",
        """book_id = models.UUIDField(primary_key=True)
    big = models.IntegerField()
    twice = models.GeneratedField(expression=models.F("big") * 2, output_field=big, db_persist=True)""",
    ),
    "projections.E007 clock": (
        "ReadModel",
        """book_id = models.UUIDField(primary_key=True)
    touched_at = models.DateTimeField(auto_now=True)""",
    ),
    "projections.E007 binary": (
        "ReadModel",
        """book_id = models.UUIDField(primary_key=True)
    cover = models.BinaryField()""",
    ),
}
TABLE = """

class Bad({base}):
    {fields}
"""
PROJECTION = """
from library.models import Bad

class BadTable(Projection[Bad], name="bad-table"):
    model = Bad

    @projection.on(Bought, key="book_id")
    def bought(self, row, event, meta): ...

registry.register(BadTable())
"""


def complain(project: Path) -> str:
    done = try_manage(project, "check")
    assert done.returncode != 0, done.stdout
    return done.stderr


def add(file: Path, source: str) -> None:
    file.write_text(file.read_text() + "\n" + source)


@pytest.mark.parametrize("identity", BROKEN)
def test_a_faulty_declaration_is_named(identity, project):
    add(project / "library" / "models.py", CARD)
    add(project / "library" / "domain.py", BROKEN[identity])
    assert f"({identity.split()[0]})" in complain(project)


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_a_setting_that_means_nothing_is_named(case, project):
    add(project / "settings.py", MISCONFIGURED[case])
    assert f"({case.split()[0]})" in complain(project)


@pytest.mark.parametrize("case", TABLES)
def test_a_read_table_that_could_not_be_swapped_is_named(case, project):
    base, fields = TABLES[case]
    add(project / "library" / "models.py", TABLE.format(base=base, fields=fields))
    add(project / "library" / "domain.py", PROJECTION)
    assert f"({case.split()[0]})" in complain(project)


def test_requests_in_a_transaction_are_refused(project):
    add(project / "settings.py", 'DATABASES["default"]["ATOMIC_REQUESTS"] = True')
    assert "(eventstore.E010)" in complain(project)


def test_a_mode_for_nobody_is_named(project):
    add(project / "settings.py", 'EVENTSTORE_MODES = {"shelfs": "async"}')
    assert "(eventstore.E018)" in complain(project)


def test_in_production_an_application_that_owns_the_log_is_warned_of(project):
    assert "eventstore.W011" in try_manage(project, "check", "--deploy").stderr


def test_in_production_incidents_that_nobody_hears_of_are_warned_of(project):
    assert "eventstore.W021" in try_manage(project, "check", "--deploy").stderr
    add(project / "settings.py", 'ADMINS = [("staff", "staff@example.org")]')
    assert "eventstore.W021" not in try_manage(project, "check", "--deploy").stderr


@pytest.mark.parametrize("shape", ["datetime", "dict[str, tuple[datetime, ...]]", "Moment", "Moment | None"])
def test_a_time_that_may_have_no_time_zone_is_warned_of(shape, project):
    times = """
from datetime import datetime
from typing import Annotated
import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""
    event = EVENT.replace('"book.burnt"', '"book.burnt", standalone=True') + f"    at: {shape}\n"
    add(project / "library" / "domain.py", times + event)
    done = try_manage(project, "check")
    assert done.returncode == 0
    assert ("Burnt.at may hold a time without a time zone" in done.stderr) is ("datetime" in shape)
    assert done.stderr.count("eventstore.W024") == ("datetime" in shape)


def test_a_sequence_below_its_events_or_with_a_cache_is_named(project):
    done = try_manage(project, "migrate")
    assert done.returncode == 0, done.stderr
    sql = "ALTER SEQUENCE eventstore_event_position_seq CACHE 20"
    assert try_manage(project, "shell", "-c", _execute(sql)).returncode == 0
    assert "(eventstore.E012)" in try_manage(project, "check", "--database", "default").stderr
    sql = "ALTER SEQUENCE eventstore_event_position_seq CACHE 1"
    assert try_manage(project, "shell", "-c", _execute(sql)).returncode == 0
    assert try_manage(project, "check", "--database", "default").returncode == 0
    assert try_manage(project, "makemigrations", "library").returncode == 0
    assert try_manage(project, "migrate").returncode == 0
    done = try_manage(project, "lend")
    assert done.returncode == 0, done.stderr
    sql = "SELECT setval('eventstore_event_position_seq', 1)"
    assert try_manage(project, "shell", "-c", _execute(sql)).returncode == 0
    assert "(eventstore.E013)" in try_manage(project, "check", "--database", "default").stderr


def test_an_edited_sql_file_fails_its_migration(project):
    add(project / "eventstore" / "sql" / "horizon_v1.sql", "-- edited")
    assert "was changed after a migration installed it" in try_manage(project, "migrate").stderr


def _execute(sql: str) -> str:
    return f"from django.db import connection; connection.cursor().execute({sql!r})"
