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

import msgspec
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


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a `TxDtls`: a batch may have so many that their elements would not fit into memory."""

    amount: str = ""
    currency: str = ""
    indicator: str = ""
    debtor: str = ""
    creditor: str = ""
    remittance: str = ""
    reference: str = ""
    charged: bool = False
    returned: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An `Ntry` without its transactions, these, and what stood before it."""

    element: Element
    transactions: list[Transaction]
    number: int
    account: str
    statement: str


class Entries:
    """Collects entries while a file is parsed; everything else is forgotten at once."""

    parser: DefusedXMLParser

    def __init__(self) -> None:
        self.is_statement = False
        self._path: list[str] = []
        self._text: list[str] = []
        self._building: list[TreeBuilder] = []
        self._transactions: list[Transaction] = []
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
            self._building.append(TreeBuilder())
            self._transactions, self._number = [], self.number
        elif name == "TxDtls" and self._building:
            self._building.append(TreeBuilder())
        if self._building:
            self._building[-1].start(name, attributes)

    def data(self, text: str) -> None:
        if self._building:
            self._building[-1].data(text)
        else:
            self._text.append(text)

    def end(self, tag: str) -> None:
        if self._building:
            self._building[-1].end(self._path[-1])
            if self._path[-1] in ("TxDtls", "Ntry"):
                self._built(self._building.pop().close())
        elif tuple(self._path[1:]) in ACCOUNTS:
            self._account = "".join(self._text).strip()
        elif tuple(self._path[1:]) == STATEMENT_ID:
            self._statement = "".join(self._text).strip()
        self._path.pop()

    def close(self) -> None:
        """Nothing is left to be built."""

    def _built(self, element: Element) -> None:
        if element.tag == "TxDtls":
            self._transactions.append(_transaction(element))
            return
        entry = Entry(
            element=element,
            transactions=self._transactions,
            number=self._number,
            account=self._account,
            statement=self._statement,
        )
        self._done.append(entry)


def _transaction(element: Element) -> Transaction:
    amount = element.find("Amt")
    if amount is None:
        amount = element.find("AmtDtls/TxAmt/Amt")
    return Transaction(
        amount="" if amount is None else _own_text(amount),
        currency="" if amount is None else amount.get("Ccy", ""),
        indicator=_text(element, "CdtDbtInd"),
        debtor=_party(element, "Dbtr"),
        creditor=_party(element, "Cdtr"),
        remittance=_remittance(element),
        reference=_text(element, "Refs/AcctSvcrRef"),
        charged=element.find(".//Chrgs") is not None,
        returned=element.find("RtrInf") is not None,
    )


def _remittance(transaction: Element) -> str:
    """All in which a reference may stand, a line each."""
    told = [
        *transaction.findall("RmtInf/Ustrd"),
        *transaction.findall("RmtInf/Strd/CdtrRefInf/Ref"),
        *transaction.findall("RmtInf/Strd/AddtlRmtInf"),
        *transaction.findall("Refs/EndToEndId"),
    ]
    texts = [text for each in told if (text := _own_text(each)) not in NOTHING]
    return "\n".join(texts) or _text(transaction, "AddtlTxInf")


def _party(transaction: Element, role: str) -> str:
    """The name of who paid, or who was paid."""
    paths = (f"{role}/Nm", f"{role}/Pty/Nm", f"Ultmt{role}/Nm", f"Ultmt{role}/Pty/Nm")
    return next((name for path in paths if (name := _text(transaction, f"RltdPties/{path}"))), "")


def _lines(entry: Entry) -> Iterator[StatementLine | Fault]:
    """One for each transaction that the entry tells, or one for the entry."""
    element, transactions = entry.element, entry.transactions or [Transaction()]
    if (_text(element, "Sts/Cd") or _text(element, "Sts")) != BOOKED:
        return
    try:
        value_on = _date(element.find("ValDt"))
        booked_on = _date(element.find("BookgDt")) or value_on or _undated()
        amounts = _amounts(element, transactions)
    except ValueError as error:
        yield Fault(entry.number, str(error))
        return
    for amount, transaction in zip(amounts, transactions, strict=True):
        yield StatementLine(
            number=entry.number,
            booked_on=booked_on,
            value_on=value_on,
            amount=amount,
            remittance=transaction.remittance or _text(element, "AddtlNtryInf"),
            counterparty=transaction.debtor if amount.amount >= 0 else transaction.creditor,
            account=entry.account,
            bank_reference=_bank_reference(entry, transaction),
            reversal=_text(element, "RvslInd") in ("true", "1") or transaction.returned,
        )


def _amounts(entry: Element, transactions: Sequence[Transaction]) -> list[Money]:
    """Of a batch, what each transaction says, which must add up, unless the bank has kept charges. One transaction is
    of the amount of the entry: its own may be in the currency of who paid.
    """
    amount, indicator = entry.find("Amt"), _text(entry, "CdtDbtInd")
    whole = _money(_text(entry, "Amt"), "" if amount is None else amount.get("Ccy", ""), indicator)
    if len(transactions) == 1:
        return [whole]
    parts = [_money(each.amount, each.currency, each.indicator or indicator) for each in transactions]
    if any(part.currency != whole.currency for part in parts):
        raise ValueError("A batch has amounts of another currency than its entry.")
    charged = entry.find(".//Chrgs") is not None or any(each.charged for each in transactions)
    if not charged and sum(part.amount for part in parts) != whole.amount:
        raise ValueError("The amounts of a batch don't add up to that of its entry.")
    return parts


def _money(amount: str, currency: str, indicator: str) -> Money:
    sign = {"CRDT": 1, "DBIT": -1}.get(indicator)
    if not amount or sign is None:
        raise ValueError("An entry has no amount, or is neither credit nor debit.")
    if not DECIMAL.fullmatch(amount):
        raise ValueError(f"{amount!r} is no amount.")
    return Money(Decimal(amount) * sign, currency)


def _date(element: Element | None) -> date | None:
    """A date, or the day of a time as the bank writes it. Both may end with a time zone."""
    written = "" if element is None else _text(element, "Dt") or _text(element, "DtTm")
    try:
        return date.fromisoformat(written[:10]) if written else None
    except ValueError:
        raise ValueError(f"{written!r} is no date.") from None


def _undated() -> Never:
    raise ValueError("An entry has no date.")


def _bank_reference(entry: Entry, transaction: Transaction) -> str:
    """The bank's own name for it. An `NtryRef` may count the entries of each statement, so its id goes with it."""
    for reference in (transaction.reference, _text(entry.element, "AcctSvcrRef")):
        if reference not in NOTHING:
            return reference
    counted = _text(entry.element, "NtryRef")
    return "" if counted in NOTHING else f"{entry.statement}/{counted}"


def _text(element: Element, path: str) -> str:
    found = element.find(path)
    return "" if found is None else _own_text(found)


def _own_text(element: Element) -> str:
    return (element.text or "").strip()
