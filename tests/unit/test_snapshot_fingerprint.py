"""A snapshot is believed only by code that would fold the same state; shown on a small app, written and imported."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path

import pytest

from eventstore import codec
from eventstore.events import catalogue
from eventstore.repository import shape

Files = dict[str, str]
numbers = count(1)

SAMPLE: Files = {
    "__init__.py": "",
    "values.py": """
import enum

import msgspec

STEP = 1


class Grade(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Amount(msgspec.Struct, frozen=True):
    number: int = 0

    def plus(self, other):
        return Amount(self.number + other)
""",
    "events.py": """
from uuid import UUID

from eventstore.codec import upcaster
from eventstore.events import Event, event


@event("glass.filled", version=2)
class Filled(Event):
    glass_id: UUID
    drops: int


@upcaster("glass.filled", 1)
def drops_were_spoons(data):
    return {**data, "drops": data["spoons"] * 100}
""",
    "domain.py": '''
from eventstore.aggregates import Aggregate, on

from .events import Filled
from .helpers import rounded
from .values import Amount, Grade


class Glass(Aggregate, category="glass", snapshot_every=10):
    """What is in a glass."""

    amount: Amount
    grade: Grade

    def __init__(self, stream_id):
        super().__init__(stream_id)
        self.amount, self.grade = Amount(), Grade.LOW

    @on(Filled)
    def _filled(self, event):
        self.amount = self.amount.plus(rounded(event.drops))
''',
    "helpers.py": """
from .values import STEP


def rounded(number):
    return number - number % STEP
""",
}

MEANT = {
    "the handler of an event": ("domain.py", "self.amount.plus(", "Amount().plus("),
    "the state of the beginning": ("domain.py", "Grade.LOW", "Grade.HIGH"),
    "a value type": ("values.py", "self.number + other", "self.number + 2 * other"),
    "a field of a value type": ("values.py", "number: int = 0", "number: int = 1"),
    "a type that only the state names": ("values.py", '"low"', '"none"'),
    "an upcaster": ("events.py", "* 100", "* 120"),
    "the schema of an event": ("events.py", "drops: int", "drops: int = 0"),
    "a helper": ("helpers.py", "number - number", "number + number"),
    "a constant of a helper": ("values.py", "STEP = 1", "STEP = 10"),
}
SILENT = {
    "a comment": ("helpers.py", "    return", "    # why\n    return"),
    "a docstring": ("domain.py", "What is in a glass.", "How full it is."),
    "what it does not refer to": ("helpers.py", "def rounded", "def other():\n    return 1\n\n\ndef rounded"),
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Files], str]]:
    """Writes an app under a name of its own, imports it, and gives the fingerprint of its aggregate."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(catalogue)

    def make(files: Files) -> str:
        package = f"glass_{next(numbers)}"
        (tmp_path / package).mkdir()
        for name, text in files.items():
            (tmp_path / package / name).write_text(text)
        return shape(import_module(f"{package}.domain").Glass).fingerprint

    yield make
    for each in set(catalogue) - before:
        catalogue.unregister(each)
        codec.forget_upcasters(each.stored)
    for name in [each for each in sys.modules if each.startswith("glass_")]:
        del sys.modules[name]


def edited(path: str, old: str, new: str) -> Files:
    assert SAMPLE[path].count(old) == 1, f"{old!r} stands {SAMPLE[path].count(old)} times in {path}"
    return {**SAMPLE, path: SAMPLE[path].replace(old, new)}


@pytest.mark.parametrize("what", MEANT)
def test_what_decides_the_state_makes_snapshots_of_before_worthless(what, made):
    assert made(edited(*MEANT[what])) != made(SAMPLE) != ""


@pytest.mark.parametrize("what", SILENT)
def test_what_does_not_decide_the_state_leaves_snapshots_as_they_are(what, made):
    assert made(edited(*SILENT[what])) == made(SAMPLE) != ""


def test_code_that_can_not_be_read_has_no_snapshots(made):
    made_by_running = {**SAMPLE, "helpers.py": "globals()['rounded'] = eval('lambda number: number')\n"}
    assert made(made_by_running) == ""
