"""What a statement says, whatever the format: lines, each with an id of its own, or all that is wrong with the file."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from hashlib import sha256

import msgspec

from ordering.domain.values import Money


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One movement on the account.

    `id` is the same whenever the statement is read again, and no other line has it. `amount` is positive where money
    came in. `reversal` is said of a line that takes back another one, if the bank says so. `number` is the line of the
    file. `account` and `bank_reference` are the bank's, empty where it says none.
    """

    id: str = ""
    number: int
    booked_on: date
    value_on: date | None = None
    amount: Money
    remittance: str = ""
    counterparty: str = ""
    account: str = ""
    bank_reference: str = ""
    reversal: bool = False


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a line of a file; quotes nothing of it but what was to be a date, an amount or a currency."""

    number: int
    text: str

    def __str__(self) -> str:
        return f"Line {self.number}: {self.text}"


class StatementRefused(ValueError):
    """All that is wrong with a file."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def checked(parse: Callable[[], Iterator[StatementLine | Fault]]) -> Iterator[StatementLine]:
    """The lines of a file that has no fault. It is read twice, so that it need not be held in memory to be judged
    before the first line is given. Raises `StatementRefused`.
    """
    if faults := [each for each in parse() if isinstance(each, Fault)]:
        raise StatementRefused(faults)
    return _identified(each for each in parse() if isinstance(each, StatementLine))


def _identified(lines: Iterator[StatementLine]) -> Iterator[StatementLine]:
    """Lines that would have the same id are numbered: two equal transfers of one day, the parts of a batch that has one
    reference.
    """
    seen: Counter[bytes] = Counter()
    for line in lines:
        told = _told(line)
        digest = sha256(told.encode()).digest()[:8]
        seen[digest] += 1
        number = f"/{seen[digest]}" if seen[digest] > 1 else ""
        yield msgspec.structs.replace(line, id=f"{told}{number}")


def _told(line: StatementLine) -> str:
    """The account, the day, and the bank's own reference, or else a hash of all that the line says.

    The direction is part of it, since what takes a transfer back may bear its reference.
    """
    said = (line.value_on, line.amount, line.remittance, line.counterparty)
    reference = line.bank_reference or sha256(msgspec.msgpack.encode(said)).hexdigest()[:32]
    direction = "debit" if line.amount.amount < 0 else "credit"
    return "/".join((*filter(None, [line.account]), line.booked_on.isoformat(), direction, reference))
