"""Statements as CSV, of which each bank has a form of its own. What is recognized stands in the tables below; what is
not can be named.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import msgspec

from ordering.domain.values import Money
from ordering.providers.statements.amounts import read_amount, read_date
from ordering.providers.statements.line import Fault, StatementLine, checked

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "booked_on": (
        *("buchungstag", "buchungsdatum", "buchung", "booking date", "posting date", "transaction date"),
        *("datum", "date"),
    ),
    "value_on": ("valutadatum", "valuta", "wertstellung", "wertstellungsdatum", "value date"),
    "amount": ("betrag", "umsatz", "amount", "transaction amount"),
    "credit": ("haben", "gutschrift", "credit", "credit amount", "paid in", "money in"),
    "debit": ("soll", "lastschrift", "belastung", "debit", "debit amount", "paid out", "money out"),
    "direction": ("soll/haben", "s/h", "debit/credit", "credit/debit", "credit debit indicator"),
    "currency": ("währung", "waehrung", "currency", "ccy"),
    "remittance": (
        *("verwendungszweck", "buchungsdetails", "mitteilung", "remittance information", "payment reference"),
        *("reference", "description", "details"),
    ),
    "counterparty": (
        *("name zahlungsbeteiligter", "beguenstigter/zahlungspflichtiger", "begünstigter/zahlungspflichtiger"),
        *("auftraggeber/empfänger", "auftraggeber/begünstigter", "zahlungspflichtige*r", "zahlungspflichtiger"),
        *("auftraggeber", "counterparty", "payer", "debtor name", "name"),
    ),
    "account": ("iban auftragskonto", "auftragskonto", "account iban", "account number"),
    "bank_reference": (
        *("bankreferenz", "transaktions-id", "bank reference", "transaction id"),
        "account servicer reference",
    ),
    "status": ("status", "info"),
}
"""By field, which headers are taken for it, the first that is there. Case and spaces don't matter. A currency may
follow, as in "Betrag (EUR)" or "Umsatz in EUR", and a number, as in "Verwendungszweck 2".
"""

DIRECTIONS = {
    **dict.fromkeys(("h", "haben", "c", "cr", "crdt", "credit", "k", "gutschrift"), 1),
    **dict.fromkeys(("s", "soll", "d", "dr", "dbit", "debit", "lastschrift", "belastung"), -1),
}
NOT_BOOKED = re.compile("vorgemerkt|vormerkung|pending|not booked", re.IGNORECASE)

DELIMITERS = ";,\t|"
HEADER_WITHIN = 50
"""In so many lines from the top a header must be found; banks write about the account first."""

HEADER = re.compile(r"(?P<name>.*?)(?: ?\((?P<brackets>[A-Z]{3}|€)\)| in (?P<suffix>[A-Z]{3}))?(?: ?\d+)?")


class Layout(msgspec.Struct, frozen=True):
    """Where the header stands, and in which columns what is."""

    number: int
    delimiter: str
    width: int
    columns: dict[str, list[int]]
    currency: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the one who feeds a file knows about it."""

    columns: Mapping[str, str] | None = None
    currency: str = ""
    decimal_separator: str | None = None
    american_dates: bool = False


def read_csv(
    file: BinaryIO,
    *,
    columns: Mapping[str, str] | None = None,
    currency: str = "",
    decimal_separator: str | None = None,
    american_dates: bool = False,
) -> Iterator[StatementLine]:
    """The booked lines of a file. Raises `StatementRefused`, before the first line is given.

    `columns` names the header of each field, instead of the table. `currency` is that of lines that name none.
    `decimal_separator` decides what is ambiguous. With `american_dates`, 12/31/2026 is a date. The file must be one
    that can be read twice.
    """
    reading = Reading(
        columns=columns, currency=currency, decimal_separator=decimal_separator, american_dates=american_dates
    )
    return checked(lambda: _parse(file, reading))


def encoding_of(file: BinaryIO) -> str:
    """By its byte order mark; else UTF-16 if every other byte at the start is zero, UTF-8 if all of it is that, and
    Windows-1252 if not.
    """
    file.seek(0)
    start = file.read(4096)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if zeros.count(0) > len(zeros) * 0.7:
            return encoding
    return "utf-8" if _is_utf8(file) else "cp1252"


def _is_utf8(file: BinaryIO) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(1 << 16):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _parse(file: BinaryIO, reading: Reading) -> Iterator[StatementLine | Fault]:
    encoding = encoding_of(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    number = 0
    try:
        layout = _layout(text, reading)
        if not layout:
            yield Fault(1, "No header was recognized: it needs at least a date and an amount.")
            return
        text.seek(0)
        for number, row in _rows(text, layout.delimiter):
            if number > layout.number and any(cell.strip() for cell in row):
                yield from _line(number, row, layout, reading)
    except UnicodeDecodeError:
        yield Fault(number + 1, f"What follows is not {encoding}.")
    except csv.Error:
        yield Fault(number + 1, "This is no CSV.")
    finally:
        text.detach()


def _rows(text: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of the line in which it begins: a quoted cell may have several."""
    rows, ended = csv.reader(text, delimiter=delimiter), 0
    for row in rows:
        yield ended + 1, row
        ended = rows.line_num


def _layout(text: io.TextIOWrapper, reading: Reading) -> Layout | None:
    """The delimiter under which most columns are known, in the first row where enough are."""
    found = []
    for delimiter in DELIMITERS:
        text.seek(0)
        for number, row in _rows(text, delimiter):
            if number > HEADER_WITHIN:
                break
            if layout := _header(number, row, delimiter, reading):
                found.append(layout)
                break
    return max(found, key=lambda layout: len(layout.columns), default=None)


def _header(number: int, row: Sequence[str], delimiter: str, reading: Reading) -> Layout | None:
    columns: dict[str, list[int]] = {}
    currency = ""
    if reading.columns is not None:
        wanted = {
            field: [at for at, cell in enumerate(row) if _plain(cell) == _plain(name)]
            for field, name in reading.columns.items()
        }
        if not all(wanted.values()):
            return None
        columns = wanted
    else:
        titles = [HEADER.fullmatch(" ".join(cell.split())) for cell in row]
        names = [title["name"].lower() if title else "" for title in titles]
        for field, known in COLUMNS.items():
            if name := next((name for name in known if name in names), None):
                columns[field] = [at for at, each in enumerate(names) if each == name]
        amounts = columns.get("amount") or columns.get("credit") or []
        currency = next((title["brackets"] or title["suffix"] or "" for at in amounts if (title := titles[at])), "")
        currency = currency.replace("€", "EUR")
    if "booked_on" not in columns or not ({"amount", "credit"} & columns.keys()):
        return None
    return Layout(number, delimiter, len(row), columns, currency)


def _plain(title: str) -> str:
    return " ".join(title.split()).lower()


def _line(number: int, row: list[str], layout: Layout, reading: Reading) -> Iterator[StatementLine | Fault]:
    if len(row) > layout.width and any(cell.strip() for cell in row[layout.width :]):
        yield Fault(number, f"There are {len(row)} cells under {layout.width} headers.")
        return
    row = [cell.strip() for cell in row] + [""] * (layout.width - len(row))
    cells = {field: row[places[0]] for field, places in layout.columns.items()}
    cells["remittance"] = "\n".join(row[at] for at in layout.columns.get("remittance", ()) if row[at])
    if NOT_BOOKED.search(cells.get("status", "")):
        return
    try:
        yield StatementLine(
            number=number,
            booked_on=read_date(cells["booked_on"], american=reading.american_dates),
            value_on=read_date(day, american=reading.american_dates) if (day := cells.get("value_on")) else None,
            amount=_money(cells, layout, reading),
            remittance=cells["remittance"],
            counterparty=cells.get("counterparty", ""),
            account=cells.get("account", "").replace(" ", ""),
            bank_reference=cells.get("bank_reference", ""),
        )
    except ValueError as error:
        yield Fault(number, str(error))


def _money(cells: Mapping[str, str], layout: Layout, reading: Reading) -> Money:
    currency = cells.get("currency") or layout.currency or reading.currency
    if not currency:
        raise ValueError("No currency is said.")
    if "amount" in cells:
        amount = read_amount(cells["amount"], reading.decimal_separator)
        if "direction" in cells:
            if cells["direction"].lower() not in DIRECTIONS or amount < 0:
                raise ValueError("It is not clear whether this is credit or debit.")
            amount *= DIRECTIONS[cells["direction"].lower()]
        return Money(amount, currency)
    credit, debit = cells.get("credit", ""), cells.get("debit", "")
    if bool(credit) == bool(debit):
        raise ValueError("A line has either a credit or a debit.")
    amount = abs(read_amount(credit or debit, reading.decimal_separator))
    return Money(amount if credit else -amount, currency)
