"""Files of customers as tests import them."""

from collections.abc import Collection, Generator
from hashlib import sha256
from io import BytesIO
from typing import Any

from eventstore.imports import runs
from eventstore.imports.lines import Format
from eventstore.models import ImportRun, StoredEvent

HEADER = "name,email,birth_date,street,postal_code,city,country"


def line(number: int, *, bad: bool = False) -> str:
    """A customer, whose mail address may be none."""
    email = "nowhere" if bad else f"customer{number}@example.org"
    return f'"Customer, {number}",{email},19{number % 90 + 10}-01-02,"{number} High Street",12345,London,GB'


def file_of(lines: int, bad: Collection[int] = ()) -> bytes:
    """A CSV file of so many customers; those of these numbers are bad."""
    return "\n".join([HEADER, *(line(number, bad=number in bad) for number in range(lines)), ""]).encode()


def begin(content: bytes, **how: Any) -> ImportRun:
    how = {"name": "customers.csv", "written": Format(), "options": {}, "by": "test", **how}
    return runs.begin("customers", BytesIO(content), **how)


def steps(content: bytes, **how: Any) -> Generator[runs.Step]:
    """What becomes of a file, step by step."""
    return runs.carry_on(begin(content, **how), BytesIO(content))


def imported(content: bytes, **how: Any) -> ImportRun:
    """The run of a file, when it has ended."""
    for _ in steps(content, **how):
        pass
    return ImportRun.objects.get(digest=sha256(content).hexdigest())


def registered() -> list[str]:
    """The addresses of the customers that were registered, in order."""
    events = StoredEvent.objects.filter(type="customer.registered")
    return [data["email"] for data in events.values_list("data", flat=True)]
