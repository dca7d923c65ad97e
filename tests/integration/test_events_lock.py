"""The lock file of events, in a copied app whose events change."""

import json
from pathlib import Path

import pytest

from tests.integration.fork_server import manage, try_manage
from tests.integration.test_portable import project
from tests.integration.test_projections_lock import edit

__all__ = ["project"]

LENT = "class Lent(Event):\n    book_id: UUID\n    reader: str\n"
EXAMPLE: dict[str, str] = {"book_id": "01890000-0000-7000-8000-000000000001"}
EXAMPLES = [
    {"type": "book.bought", "version": 1, "data": {**EXAMPLE, "title": "Emma"}},
    {"type": "book.lent", "version": 1, "data": {**EXAMPLE, "reader": "Ada"}},
    {"type": "book.reminded", "version": 1, "data": EXAMPLE},
]
REFUSED_BY_CALL = {
    "type": "saga.command-refused",
    "version": 1,
    "data": {**dict.fromkeys(("saga", "key", "command", "code", "detail"), "x"), "command_id": EXAMPLE["book_id"]},
}
"""What the app of sagas declares: a project keeps an example of that, too."""

STORED, BESIDE = "What is stored could not be read", "An older process that runs beside could not read"

FORMER = """

from eventstore.codec import former


@former("book.lent", into={"book.handed-out": 1})
def it_was_called_lent(data):
    return {"book.handed-out": data}
"""

CHANGES = {
    "a field more": ("    due: str\n", {STORED}),
    "a field less": ("", {BESIDE}),
    "another type": ("    reader: int\n", {STORED, BESIDE}),
    "a wider type": ("    reader: str | None\n", {BESIDE}),
    "a narrower type": ("    reader: UUID\n", {STORED}),
    "another name": ("    who: str\n", {STORED, BESIDE}),
}


@pytest.fixture
def locked(project: Path) -> Path:
    """The bare project with stored examples, locked."""
    keep(project, *EXAMPLES, REFUSED_BY_CALL)
    with (project / "settings.py").open("a") as settings:
        settings.write(
            '\nEVENTSTORE_LOCK = os.path.join(os.path.dirname(__file__), "events.lock")'
            '\nEVENTSTORE_EXAMPLES = os.path.join(os.path.dirname(__file__), "examples.json")\n'
        )
    assert "(eventstore.E027)" in try_manage(project, "check").stderr
    assert "book.lent: added (1)" in manage(project, "events", "lock")
    manage(project, "check")
    return project


def keep(project: Path, *kept: object) -> None:
    (project / "examples.json").write_text(json.dumps(kept))


def change(project: Path, fields: str, *, version: int = 1) -> None:
    edit(project, "domain.py", LENT, f"class Lent(Event):\n    book_id: UUID\n{fields}")
    if version > 1:
        edit(project, "domain.py", '@event("book.lent")', f'@event("book.lent", version={version})')


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_that_somebody_could_not_read_fails_the_checks_and_says_who_and_what_is_right(what, locked):
    fields, who = CHANGES[what]
    change(locked, "    reader: str\n" + fields if what == "a field more" else fields)
    told = try_manage(locked, "check").stderr
    assert "(eventstore.E026) book.lent changed without a new version." in told
    assert {each for each in (STORED, BESIDE) if each in told} == who
    assert "Raise its version, declare @upcaster('book.lent', 1)" in told
    text = (locked / "events.lock").read_text()
    for options in (("--check",), ("--json",)):
        done = try_manage(locked, "events", "lock", *options)
        assert done.returncode == 1
        assert "book.lent" in done.stderr
        assert (locked / "events.lock").read_text() == text
    (line,) = json.loads(done.stdout)["changes"]
    assert line["refused"]
    assert {STORED: bool(line["stored"]), BESIDE: bool(line["beside"])} == {
        each: each in who for each in (STORED, BESIDE)
    }


def test_a_new_version_needs_an_upcaster_and_a_stored_example_and_then_passes(locked):
    change(locked, "    reader: str\n    due: str\n", version=2)
    told = try_manage(locked, "check").stderr
    assert "(eventstore.E004) 'book.lent' has no upcaster from schema version 1." in told
    assert "(eventstore.E027) book.lent has a higher version than is locked." in told
    assert "(eventstore.E028) book.lent: no stored example of version 2 is kept." in told
    assert "(eventstore.E028) book.lent: the stored example of version 1 can't be read" in told
    assert try_manage(locked, "events", "lock").returncode == 1

    with (locked / "library" / "domain.py").open("a") as code:
        code.write(
            '\n\n@upcaster("book.lent", 1)\ndef nobody_had_to_hurry(data):\n    return {**data, "due": "never"}\n'
        )
    edit(
        locked,
        "domain.py",
        "from eventstore.events import",
        "from eventstore.codec import upcaster\nfrom eventstore.events import",
    )
    keep(
        locked,
        *EXAMPLES,
        {"type": "book.lent", "version": 2, "data": {**EXAMPLE, "reader": "Ada", "due": "soon"}},
        REFUSED_BY_CALL,
    )
    assert "book.lent: new version (2)" in manage(locked, "events", "lock")
    assert "No changes detected." in manage(locked, "events", "lock", "--check")
    manage(locked, "check")

    edit(locked, "domain.py", '@event("book.lent", version=2)', '@event("book.lent")')
    assert "A version only rises." in try_manage(locked, "events", "lock").stderr


def test_a_field_with_a_default_is_read_by_everybody(locked):
    change(locked, '    reader: str\n    due: str = ""\n    marks: tuple[str, ...] = ()\n')
    assert "(eventstore.E027)" in try_manage(locked, "check").stderr
    assert "book.lent: changed, everybody can read it (1)" in manage(locked, "events", "lock")
    manage(locked, "check")
    edit(locked, "domain.py", 'due: str = ""', 'due: str = "soon"')
    assert "has fields of another meaning, or default" in try_manage(locked, "check").stderr


def test_a_field_of_another_meaning_needs_a_new_version_unless_somebody_says_that_it_is_the_same(locked):
    change(locked, '    reader: str\n    """Who has it."""\n')
    assert "book.lent: changed, everybody can read it (1)" in manage(locked, "events", "lock")
    edit(locked, "domain.py", '"""Who has it."""', '"""Whom to ask for it."""')
    told = try_manage(locked, "check").stderr
    assert "(eventstore.E026) book.lent has fields of another meaning" in told
    assert "declare another event" in told
    assert try_manage(locked, "events", "lock", "--same", "book.bought").returncode == 1
    assert "book.lent: means the same (1)" in manage(locked, "events", "lock", "--same", "book.lent")
    manage(locked, "check")


def test_an_event_that_is_gone_is_refused_unless_it_was_never_released(locked):
    lock = json.loads((locked / "events.lock").read_text())
    lock["events"]["book.sung"] = lock["events"]["book.reminded"]
    (locked / "events.lock").write_text(json.dumps(lock))
    told = try_manage(locked, "check").stderr
    assert "(eventstore.E026) book.sung is locked, but no event is declared under this name." in told
    assert STORED in told
    assert try_manage(locked, "events", "lock", "--same", "book.sung").returncode == 1
    assert "book.sung: removed" in manage(locked, "events", "lock", "--unreleased", "book.sung")
    manage(locked, "check")


def test_an_event_of_another_name_says_what_it_was_called_before(locked):
    edit(locked, "domain.py", '@event("book.lent")', '@event("book.handed-out")')
    told = try_manage(locked, "check").stderr
    assert "(eventstore.E026) book.lent is locked, but no event is declared under this name." in told
    assert "@former('book.lent', version=1, into=…)" in told

    with (locked / "library" / "domain.py").open("a") as code:
        code.write(FORMER)
    keep(locked, *EXAMPLES, {**EXAMPLES[1], "type": "book.handed-out"}, REFUSED_BY_CALL)
    assert "(eventstore.E027) book.lent is declared no more" in try_manage(locked, "check").stderr
    told = manage(locked, "events", "lock")
    assert "book.lent: a former name (1)" in told
    assert "book.handed-out: added (1)" in told
    manage(locked, "check")

    edit(locked, "domain.py", FORMER, "")
    assert "(eventstore.E026) book.lent is locked" in try_manage(locked, "check").stderr


def test_a_former_name_that_is_declared_or_leads_nowhere_is_named(locked):
    with (locked / "library" / "domain.py").open("a") as code:
        code.write(FORMER)
    told = try_manage(locked, "check").stderr
    assert "(eventstore.E030) 'book.lent' is declared, and as a former name as well." in told
    assert "(eventstore.E031) 'book.lent' is read as 'book.handed-out', which no event is stored as." in told


def test_a_value_within_an_event_is_held_too(locked):
    edit(
        locked,
        "domain.py",
        '@event("book.lent")',
        'class Reader(msgspec.Struct):\n    name: str\n\n\n@event("book.lent")',
    )
    change(locked, "    reader: Reader\n")
    lent = {"type": "book.lent", "version": 1, "data": {**EXAMPLE, "reader": {"name": "Ada"}}}
    keep(locked, *EXAMPLES[::2], lent, REFUSED_BY_CALL)
    manage(locked, "events", "lock", "--unreleased", "book.lent")
    edit(locked, "domain.py", "    name: str\n", "    name: str\n    card: int\n")
    assert "`reader.card` is required, and may be missing." in try_manage(locked, "check").stderr


def test_a_lock_and_examples_that_can_not_be_read_are_named(locked):
    for name in ("events.lock", "examples.json"):
        text = (locked / name).read_text()
        (locked / name).write_text("<<<<<<<")
        assert "(eventstore.E029)" in try_manage(locked, "check").stderr
        assert "can't be read" in try_manage(locked, "events", "lock").stderr
        (locked / name).write_text(text)
    manage(locked, "check")


def test_where_no_examples_are_installed_nothing_is_judged_by_them(locked):
    (locked / "examples.json").unlink()
    manage(locked, "check")


def test_without_the_setting_there_is_no_lock(project):
    assert "names no file" in try_manage(project, "events", "lock").stderr
