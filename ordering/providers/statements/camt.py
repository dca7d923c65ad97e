"""CAMT.053, the statement of ISO 20022, in any of its versions from 001.02 on.

They differ in their namespace, and in a level here and there: who paid is `Dbtr/Nm` in the older and `Dbtr/Pty/Nm` in
the newer ones, the status of an entry is `Sts` or `Sts/Cd`. Names are therefore read without their namespace.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import BinaryIO, Never
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from ordering.domain.values import Money
from ordering.providers.statements.line import Fault, StatementLine, checked

CHUNK = 1 << 14
STATEMENTS = "BkToCstmrStmt"
STATEMENT_ID = (STATEMENTS, "Stmt", "Id")
ACCOUNTS = ((STATEMENTS, "Stmt", "Acct", "Id", "IBAN"), (STATEMENTS, "Stmt", "Acct", "Id", "Othr", "Id"))
BOOKED = "BOOK"
DECIMAL = re.compile(r"\d+(\.\d*)?", re.ASCII)
NOTHING = {"", "NONREF", "NOTPROVIDED"}
"""What banks write where a reference must stand and there is none."""


def read_camt(file: BinaryIO) -> Iterator[StatementLine]:
    """The booked lines of a file, each transaction of a batch one of its own. Raises `StatementRefused`, before the
    first line is given. The file must be one that can be read twice.
    """
    return checked(lambda: _parse(file))


def _parse(file: BinaryIO) -> Iterator[StatementLine | Fault]:
    for each in _entries(file):
        if isinstance(each, Fault):
            yield each
        else:
            yield from _lines(each)


def _entries(file: BinaryIO) -> "Iterator[Entry | Fault]":
    file.seek(0)
    entries = Entries()
    parser = DefusedXMLParser(target=entries, forbid_dtd=True)
    entries.parser = parser
    try:
        while chunk := file.read(CHUNK):
            parser.feed(chunk)
            yield from entries.take()
        parser.close()
    except ParseError as error:
        yield Fault(error.position[0], "This is no well-formed XML.")
    except DefusedXmlException:
        yield Fault(entries.number, "A document type or an entity has no place in a statement.")
    except LookupError:
        yield Fault(1, "The encoding that it names is unknown.")
    else:
        if not entries.is_statement:
            yield Fault(1, "This is no CAMT.053 statement.")


class Entry:
    """An `Ntry`, and what stood before it."""

    def __init__(self, element: Element, number: int, account: str, statement: str) -> None:
        self.element, self.number, self.account, self.statement = element, number, account, statement


class Entries:
    """Collects entries while a file is parsed, one element tree each; everything else is forgotten at once."""

    parser: DefusedXMLParser

    def __init__(self) -> None:
        self.is_statement = False
        self._path: list[str] = []
        self._text: list[str] = []
        self._entry: TreeBuilder | None = None
        self._number, self._account, self._statement = 0, "", ""
        self._done: list[Entry] = []

    @property
    def number(self) -> int:
        return int(self.parser.parser.CurrentLineNumber)

    def take(self) -> list[Entry]:
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._path.append(name)
        self._text.clear()
        if name == STATEMENTS and len(self._path) == 2:
            self.is_statement = True
        elif name == "Stmt":
            self._account = self._statement = ""
        elif name == "Ntry" and self.is_statement:
            self._entry, self._number = TreeBuilder(), self.number
        if self._entry:
            self._entry.start(name, attributes)

    def data(self, text: str) -> None:
        if self._entry:
            self._entry.data(text)
        else:
            self._text.append(text)

    def end(self, tag: str) -> None:
        name, path = self._path[-1], tuple(self._path[1:])
        if self._entry:
            self._entry.end(name)
            if name == "Ntry":
                self._done.append(Entry(self._entry.close(), self._number, self._account, self._statement))
                self._entry = None
        elif path in ACCOUNTS:
            self._account = "".join(self._text).strip()
        elif path == STATEMENT_ID:
            self._statement = "".join(self._text).strip()
        self._path.pop()

    def close(self) -> None:
        """Nothing is left to be built."""


def _lines(entry: Entry) -> Iterator[StatementLine | Fault]:
    """One for each transaction that the entry tells, or one for the entry."""
    if (_text(entry.element, "Sts/Cd") or _text(entry.element, "Sts")) != BOOKED:
        return
    transactions = entry.element.findall("NtryDtls/TxDtls") or [Element("TxDtls")]
    try:
        amounts = _amounts(entry.element, transactions)
        value_on = _date(entry.element.find("ValDt"))
        booked_on = _date(entry.element.find("BookgDt")) or value_on or _undated()
        yield from [
            StatementLine(
                number=entry.number,
                booked_on=booked_on,
                value_on=value_on,
                amount=amount,
                remittance=_remittance(entry.element, transaction),
                counterparty=_counterparty(transaction, incoming=amount.amount >= 0),
                account=entry.account,
                bank_reference=_bank_reference(entry, transaction),
                reversal=_text(entry.element, "RvslInd") in ("true", "1"),
            )
            for amount, transaction in zip(amounts, transactions, strict=True)
        ]
    except ValueError as error:
        yield Fault(entry.number, str(error))


def _amounts(entry: Element, transactions: Sequence[Element]) -> list[Money]:
    """Of a batch, what each transaction says, which must add up, unless the bank has kept charges. One transaction is
    of the amount of the entry: its own may be in the currency of who paid.
    """
    whole = _money(entry.find("Amt"), entry)
    if len(transactions) == 1:
        return [whole]
    parts = []
    for transaction in transactions:
        amount = transaction.find("Amt")
        if amount is None:
            amount = transaction.find("AmtDtls/TxAmt/Amt")
        parts.append(_money(amount, transaction if transaction.find("CdtDbtInd") is not None else entry))
    if any(part.currency != whole.currency for part in parts):
        raise ValueError("A batch has amounts of another currency than its entry.")
    charged = any(each.find(".//Chrgs") is not None for each in (entry, *transactions))
    if not charged and sum(part.amount for part in parts) != whole.amount:
        raise ValueError("The amounts of a batch don't add up to that of its entry.")
    return parts


def _money(amount: Element | None, owner: Element) -> Money:
    """Signed by the owner's indicator."""
    sign = {"CRDT": 1, "DBIT": -1}.get(_text(owner, "CdtDbtInd"))
    if amount is None or sign is None:
        raise ValueError("An entry has no amount, or is neither credit nor debit.")
    if not DECIMAL.fullmatch(_own_text(amount)):
        raise ValueError(f"{_own_text(amount)!r} is no amount.")
    return Money(Decimal(_own_text(amount)) * sign, amount.get("Ccy", ""))


def _date(element: Element | None) -> date | None:
    """A date, or the day of a time as the bank writes it. Both may end with a time zone."""
    written = "" if element is None else _text(element, "Dt") or _text(element, "DtTm")
    try:
        return date.fromisoformat(written[:10]) if written else None
    except ValueError:
        raise ValueError(f"{written!r} is no date.") from None


def _undated() -> Never:
    raise ValueError("An entry has no date.")


def _remittance(entry: Element, transaction: Element) -> str:
    """All in which a reference may stand, a line each."""
    told = [
        *transaction.findall("RmtInf/Ustrd"),
        *transaction.findall("RmtInf/Strd/CdtrRefInf/Ref"),
        *transaction.findall("RmtInf/Strd/AddtlRmtInf"),
        *transaction.findall("Refs/EndToEndId"),
    ]
    texts = [text for each in told if (text := _own_text(each)) not in NOTHING]
    return "\n".join(texts) or _text(transaction, "AddtlTxInf") or _text(entry, "AddtlNtryInf")


def _counterparty(transaction: Element, *, incoming: bool) -> str:
    """Who paid, or who was paid."""
    role = "Dbtr" if incoming else "Cdtr"
    paths = (
        f"RltdPties/{role}/Nm",
        f"RltdPties/{role}/Pty/Nm",
        f"RltdPties/Ultmt{role}/Nm",
        f"RltdPties/Ultmt{role}/Pty/Nm",
    )
    return next((name for path in paths if (name := _text(transaction, path))), "")


def _bank_reference(entry: Entry, transaction: Element) -> str:
    """The bank's own name for it. An `NtryRef` may count the entries of each statement, so its id goes with it."""
    for reference in (_text(transaction, "Refs/AcctSvcrRef"), _text(entry.element, "AcctSvcrRef")):
        if reference not in NOTHING:
            return reference
    counted = _text(entry.element, "NtryRef")
    return "" if counted in NOTHING else f"{entry.statement}/{counted}"


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else _own_text(found)


def _own_text(element: Element) -> str:
    return (element.text or "").strip()
