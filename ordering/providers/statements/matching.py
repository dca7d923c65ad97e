"""Which payment a line is for, by reference and amount. Nothing is applied here: what to do is for whoever asks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from uuid import UUID

import msgspec

from ordering.domain.values import Money
from ordering.providers.references import GROUP, LENGTH, find_references, squeezed
from ordering.providers.statements.line import StatementLine


class Expected(msgspec.Struct, frozen=True):
    """A payment that may come in: `reference` as `reference_of` writes it, and what is still due."""

    payment_id: UUID
    reference: str
    amount: Money


class Exact(msgspec.Struct, frozen=True):
    """The reference of one payment, and its amount."""

    line: StatementLine
    payment: Expected


class OtherAmount(msgspec.Struct, frozen=True):
    """The reference of one payment, and another amount or currency."""

    line: StatementLine
    payment: Expected


class CloseReference(msgspec.Struct, frozen=True):
    """No reference that is known, but the amount of one payment, and its reference with one slip."""

    line: StatementLine
    payment: Expected


class Several(msgspec.Struct, frozen=True):
    """The references of several payments, or one slip away from those of several with this amount."""

    line: StatementLine
    payments: tuple[Expected, ...]


class Unmatched(msgspec.Struct, frozen=True):
    """No payment that is expected. So is every debit and every reversal, whatever it names: nobody pays us with it."""

    line: StatementLine


Match = Exact | OtherAmount | CloseReference | Several | Unmatched


def match(lines: Iterable[StatementLine], expected: Iterable[Expected]) -> Iterator[Match]:
    """What each line is, in their order. Each is judged by itself: two lines may be exact for the same payment."""
    index = _Index(expected)
    return (index.match(line) for line in lines)


class _Index:
    """Payments by their references, and by the groups of these: of three groups one is whole, whatever one slip does to
    the others, so that not every reference needs to be tried on every text.
    """

    def __init__(self, expected: Iterable[Expected]) -> None:
        self._by_reference: defaultdict[str, list[Expected]] = defaultdict(list)
        self._by_group: defaultdict[tuple[str, Money], list[tuple[int, Expected]]] = defaultdict(list)
        for payment in expected:
            self._by_reference[payment.reference].append(payment)
            for number, group in enumerate(payment.reference.split("-")):
                self._by_group[group, payment.amount].append((number * GROUP, payment))

    def match(self, line: StatementLine) -> Match:
        if line.reversal or line.amount.amount <= 0:
            return Unmatched(line)
        named = [payment for each in find_references(line.remittance) for payment in self._by_reference.get(each, ())]
        if len(named) > 1:
            return Several(line, tuple(named))
        if named:
            (payment,) = named
            return Exact(line, payment) if payment.amount == line.amount else OtherAmount(line, payment)
        close = self._close(line)
        if len(close) > 1:
            return Several(line, tuple(close))
        return CloseReference(line, close[0]) if close else Unmatched(line)

    def _close(self, line: StatementLine) -> list[Expected]:
        text = squeezed(line.remittance)
        close = {}
        for at in range(len(text) - GROUP + 1):
            for offset, payment in self._by_group.get((text[at : at + GROUP], line.amount), ()):
                if _has_slip(text, at - offset, payment.reference.replace("-", "")):
                    close[payment.payment_id] = payment
        return list(close.values())


def _has_slip(text: str, start: int, reference: str) -> bool:
    """Whether the text has the reference about there, but for one slip."""
    return any(
        one_slip_apart(text[begin : begin + length], reference)
        for begin in (start - 1, start, start + 1)
        if begin >= 0
        for length in (LENGTH - 1, LENGTH, LENGTH + 1)
    )


def one_slip_apart(written: str, reference: str) -> bool:
    """Whether one character is wrong, missing or too many, or two neighbours are swapped; at most, that is."""
    start = _shared(written, reference)
    written, reference = written[start:], reference[start:]
    end = _shared(written[::-1], reference[::-1])
    written, reference = written[: len(written) - end], reference[: len(reference) - end]
    if len(written) == len(reference) == 2:
        return written == reference[::-1]
    return len(written) <= 1 and len(reference) <= 1


def _shared(one: str, another: str) -> int:
    """How many characters from the start on are the same."""
    pairs = enumerate(zip(one, another, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(another)))
