"""What changes the fingerprint of a projection and what doesn't, on a small app that is written and imported."""

import compileall
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path

import pytest

from eventstore import codec
from eventstore.errors import UnreadableCode
from eventstore.events import catalogue

Files = dict[str, str]
numbers = count(1)

SAMPLE: Files = {
    "__init__.py": "",
    "values.py": '''
import enum
import re
from datetime import timedelta
from decimal import Decimal

import msgspec

LIMIT: int = 10
UNIT = Decimal("0.01")
WINDOW = timedelta(days=2)
CODES = ("a", "b")
KNOWN = frozenset({"x", "y", "z"})
RATES = {"EUR": 1, "USD": 2}
WORD = re.compile("[a-z]+")
COMPUTED = tuple(sorted({"p": 1, "q": 2}.items()))
SEEN = {}


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"

    @property
    def factor(self):
        return 2 if self is Size.LARGE else 1


class Kind(enum.IntEnum):
    NONE = 0
    SOME = 1


class Money(msgspec.Struct, frozen=True):
    """An amount."""

    amount: Decimal
    currency: str = "EUR"

    def __post_init__(self):
        if self.amount > LIMIT * 1000:
            raise ValueError("Too much.")

    def doubled(self):
        return Money(self.amount * 2, self.currency)

    def never_called(self):
        return None
''',
    "events.py": """
from uuid import UUID

from eventstore.codec import upcaster
from eventstore.events import Event, event

from .values import Kind, Money, Size

DEFAULT_SIZE = "small"


@event("sample.sold", version=2)
class Sold(Event):
    sale_id: UUID
    price: Money
    size: Size
    kind: Kind = Kind.NONE
    parts: tuple[Money, ...] = ()
    note: str | None = None


@event("sample.returned")
class Returned(Event):
    sale_id: UUID


@upcaster("sample.sold", 1)
def sizes_were_unknown(data):
    return {**data, "size": size_of(data)}


def size_of(data):
    return data.get("size", DEFAULT_SIZE)
""",
    "models.py": """
from django.db import models

from projections.models import ReadModel


def no_tags():
    return ["none"]


class Sale(ReadModel):
    class Status(models.TextChoices):
        OPEN = "open"
        SOLD = "sold"

    sale_id = models.UUIDField(primary_key=True)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    status = models.TextField(choices=Status, default=Status.OPEN)
    note = models.TextField(null=True, blank=True)
    label = models.CharField(max_length=30, default="")
    tags = models.JSONField(default=no_tags)

    class Meta:
        app_label = __package__
        ordering = ["sale_id"]

    def __str__(self):
        return str(self.sale_id)

    def settle(self, total):
        self.total = total
""",
    "helpers.py": '''
from collections.abc import Iterable
from functools import cache

from . import values


def total_of(event):
    """What is to be paid."""
    amounts = [part.amount for part in event.parts]
    return sum(amounts, event.price.doubled().amount) * weight(event.size)


def weight(size):
    return size.factor if even(values.LIMIT) else 1


def even(number):
    return number == 0 or odd(number - 1)


def odd(number):
    return number != 0 and even(number - 1)


@cache
def known(word):
    return word in values.KNOWN or word in values.CODES or bool(values.WORD.fullmatch(word))


class Labels:
    prefix = "No."

    def of(self, number):
        return f"{self.prefix} {number:>{WIDTH}}" f"!"


WIDTH = 4
double = lambda number: number * 2
''',
    "projection.py": '''
from eventstore.events import Meta
from projections.projection import ASYNC, DELETE, SYNC, Projection, on

from . import helpers
from .events import Returned, Sold
from .helpers import Labels, total_of
from .models import Sale

Status = Sale.Status


class Noting:
    def _note(self, row, text):
        row.note = text or None


def by_sale(event, meta):
    from .values import SEEN

    return (SEEN.get(event.sale_id, event.sale_id),)


class Sales(Noting, Projection[Sale], name="sales", version=1, mode=SYNC, uses=("prices",)):
    model = Sale
    step = 1

    @on(Sold, key=by_sale)
    def sold(self, row: Sale, event: Sold, meta: Meta) -> None:
        """A sale."""
        row.settle(total_of(event))
        row.status = Status.SOLD
        self._note(row, event.note)
        self._label(row, helpers.double(self.step))
        match event.kind:
            case 0:
                row.tags = [word for word in ["a", "b"] if helpers.known(word)]
            case other:
                row.tags = [other]

    @on(Returned, key=lambda event, meta: (event.sale_id,))
    def returned(self, row: Sale, event: Returned, meta: Meta):
        from .values import COMPUTED, RATES, UNIT, WINDOW

        row.total = (row.total - UNIT) * RATES["EUR"] + WINDOW.days + len(COMPUTED)
        return DELETE if row.total < 0 else None

    def _label(self, row, number):
        row.label = Labels().of(number)
''',
}

MEANT = {
    "a handler": ("projection.py", "row.total < 0", "row.total <= 0"),
    "the key of an event": ("projection.py", "(event.sale_id,))", "(event.sale_id, 0))"),
    "the function of a key": ("projection.py", "event.sale_id),)", "None),)"),
    "the events wanted": ("projection.py", "@on(Returned, key=lambda event, meta: (event.sale_id,))", ""),
    "a method": ("projection.py", "Labels().of(number)", "str(number)"),
    "an attribute": ("projection.py", "step = 1", "step = 2"),
    "a base class": ("projection.py", "text or None", "text"),
    "what it uses": ("projection.py", 'uses=("prices",)', 'uses=("prices", "taxes")'),
    "a helper": ("helpers.py", "sum(amounts,", "max(amounts,"),
    "a helper of a helper": ("helpers.py", "else 1", "else 0"),
    "helpers that call each other": ("helpers.py", "number != 0 and", "number != 1 and"),
    "a helper behind a decorator": ("helpers.py", "or word in values.CODES", ""),
    "a helper class": ("helpers.py", 'prefix = "No."', 'prefix = "Nr."'),
    "a format": ("helpers.py", "WIDTH = 4", "WIDTH = 5"),
    "a lambda": ("helpers.py", "number * 2", "number * 3"),
    "a constant number": ("values.py", "LIMIT: int = 10", "LIMIT: int = 11"),
    "a constant decimal": ("values.py", "0.01", "0.05"),
    "a constant duration": ("values.py", "days=2", "days=3"),
    "a constant tuple": ("values.py", '("a", "b")', '("a", "c")'),
    "a constant set": ("values.py", '"y", "z"', '"y"'),
    "a constant dict": ("values.py", '"EUR": 1', '"EUR": 3'),
    "a constant pattern": ("values.py", "[a-z]+", "[a-z]*"),
    "a computed constant": ("values.py", '"q": 2', '"q": 3'),
    "an addition to a constant": ("values.py", "SEEN = {}", 'SEEN = {}\nSEEN["a"] = "b"'),
    "the value of an enum": ("values.py", 'LARGE = "large"', 'LARGE = "big"'),
    "a method of an enum": ("values.py", "return 2 if", "return 3 if"),
    "a status": ("models.py", 'SOLD = "sold"', 'SOLD = "done"'),
    "the stored name of an event": ("events.py", '"sample.returned"', '"sample.brought-back"'),
    "the schema version of an event": ("events.py", "version=2", "version=3"),
    "a field of an event": (
        "events.py",
        "    note: str | None = None\n",
        "    note: str | None = None\n    by: str = ''\n",
    ),
    "the type of a field": ("events.py", "note: str | None", "note: str | int | None"),
    "the default of a field": ("events.py", "kind: Kind = Kind.NONE", "kind: Kind = Kind.SOME"),
    "a field of a struct in an event": ("values.py", 'currency: str = "EUR"', 'currency: str = "USD"'),
    "what Python calls of a struct": ("values.py", "raise ValueError", "raise TypeError"),
    "a method of a struct": ("values.py", "self.amount * 2", "self.amount * 3"),
    "an upcaster": ("events.py", '{**data, "size"', '{"size"'),
    "a helper of an upcaster": ("events.py", 'data.get("size"', 'data.get("format"'),
    "a constant of an upcaster": ("events.py", 'DEFAULT_SIZE = "small"', 'DEFAULT_SIZE = "large"'),
    "a type in the read model": ("models.py", "max_digits=10", "max_digits=12"),
    "a default in the read model": ("models.py", "default=Status.OPEN", "default=Status.SOLD"),
    "the function of a default": ("models.py", '["none"]', "[]"),
    "null in the read model": ("models.py", "null=True, ", ""),
    "the name of a column": ("models.py", "max_length=30", 'max_length=30, db_column="caption"'),
    "a new column": ("models.py", "    class Meta", "    more = models.IntegerField(default=0)\n\n    class Meta"),
    "a method of a row": ("models.py", "self.total = total", "self.total = -total"),
}

SILENT = {
    "a comment": ("projection.py", "    step = 1", "    # why\n    step = 1  # why"),
    "a docstring": ("projection.py", '"""A sale."""', '"""Something\n        else."""'),
    "a new docstring": ("helpers.py", "def odd(number):\n", 'def odd(number):\n    """Is it?"""\n'),
    "no annotations": ("projection.py", "row: Sale, event: Sold, meta: Meta) -> None", "row, event, meta)"),
    "an annotated attribute": ("projection.py", "model = Sale", "model: type[Sale] = Sale"),
    "an annotated variable": ("helpers.py", "amounts = [", "amounts: Iterable[int] = ["),
    "a broken line": ("helpers.py", "sum(amounts, event", "sum(\n        amounts,\n        event"),
    "other quotes": ("values.py", '"small"', "'small'"),
    "another way to write a number": ("values.py", "LIMIT: int = 10", "LIMIT = 0xA"),
    "another way to write a tuple": ("values.py", '("a", "b")', '(\n    "a",\n    "b",\n)'),
    "the order of a set": ("values.py", '{"x", "y", "z"}', '{"z", "y", "x"}'),
    "an import elsewhere": (
        "helpers.py",
        "    return size.factor",
        "    from . import values\n\n    return size.factor",
    ),
    "a name of a module in between": ("projection.py", "Labels().of", "helpers.Labels().of"),
    "the version": ("projection.py", "version=1", "version=2"),
    "the mode": ("projection.py", "mode=SYNC", "mode=ASYNC"),
    "the order of rows": ("models.py", 'ordering = ["sale_id"]', 'ordering = ["-sale_id"]'),
    "an index": ("models.py", 'default="")', 'default="", db_index=True)'),
    "a word for people": ("models.py", "max_length=30", 'max_length=30, verbose_name="L", help_text="l"'),
    "how a row is shown": ("models.py", "return str(self.sale_id)", 'return "a sale"'),
    "what nobody calls": ("values.py", "return None", "return 1"),
    "a helper of others": ("helpers.py", "WIDTH = 4", "WIDTH = 4\n\n\ndef other():\n    return LIMIT"),
}

PINNED = "96d9aba3ea898245"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Files], str]]:
    """Writes an app under a name of its own, imports it, and gives the fingerprint of its projection."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(catalogue)

    def make(files: Files) -> str:
        package = f"sample_{next(numbers)}"
        (tmp_path / package).mkdir()
        for name, text in files.items():
            (tmp_path / package / name).write_text(text)
        return import_module(f"{package}.projection").Sales().read_fingerprint()

    yield make
    for each in set(catalogue) - before:
        catalogue.unregister(each)
        codec.forget_upcasters(each.stored)
    for name in [each for each in sys.modules if each.startswith("sample_")]:
        del sys.modules[name]


def edited(path: str, old: str, new: str) -> Files:
    assert SAMPLE[path].count(old) == 1, f"{old!r} stands {SAMPLE[path].count(old)} times in {path}"
    return {**SAMPLE, path: SAMPLE[path].replace(old, new)}


@pytest.mark.parametrize("what", MEANT)
def test_what_decides_the_rows_changes_the_fingerprint(what, made):
    assert made(edited(*MEANT[what])) != made(SAMPLE)


@pytest.mark.parametrize("what", SILENT)
def test_what_does_not_decide_the_rows_leaves_the_fingerprint(what, made):
    assert made(edited(*SILENT[what])) == made(SAMPLE)


def test_the_fingerprint_is_the_same_everywhere(made):
    """In every process, under every name of the app, on every version of Python."""
    assert made(SAMPLE) == made(SAMPLE) == PINNED


def test_formatting_code_leaves_the_fingerprint(made, tmp_path):
    for name, text in SAMPLE.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "50", "."]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    formatted = {name: (tmp_path / name).read_text() for name in SAMPLE}
    assert formatted != SAMPLE
    assert made(formatted) == made(SAMPLE)


def test_methods_may_change_places(made):
    source = SAMPLE["projection.py"]
    method = source[source.index("    def _label") :]
    moved = source.replace(method, "").replace("    @on(Sold", f"{method}\n    @on(Sold")
    assert made({**SAMPLE, "projection.py": moved}) == made(SAMPLE)


def test_a_helper_may_move_to_another_file(made):
    helper = SAMPLE["helpers.py"][SAMPLE["helpers.py"].index("def weight") : SAMPLE["helpers.py"].index("@cache")]
    moved = {
        **SAMPLE,
        "helpers.py": SAMPLE["helpers.py"].replace(helper, "from .numbers import weight\n\n\n"),
        "numbers.py": f"from .values import LIMIT\n\n\n{helper.replace('values.LIMIT', 'LIMIT')}",
    }
    assert made(moved) == made(SAMPLE)


def test_what_running_code_has_filled_leaves_the_fingerprint(made):
    filling = SAMPLE["projection.py"] + "\nfrom .values import SEEN\nSEEN[1] = 2\n"
    assert made({**SAMPLE, "projection.py": filling}) == made(SAMPLE)


def test_code_without_a_source_has_no_fingerprint(made, tmp_path):
    ghost = tmp_path / "ghost.py"
    ghost.write_text("def double(number):\n    return number\n")
    compileall.compile_file(ghost, legacy=True, quiet=1)
    ghost.unlink()
    haunted = SAMPLE["projection.py"].replace("helpers.double(", "ghost.double(")
    with pytest.raises(UnreadableCode, match="ghost"):
        made({**SAMPLE, "projection.py": "import ghost\n" + haunted})
