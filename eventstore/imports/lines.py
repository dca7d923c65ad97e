"""A file of records, read line by line: what each says, or everything that is wrong with how it is written.

Nothing in a file ends the reading of it, once its beginning is understood: a line that can't be read is a line with
faults. What is kept in memory is bounded, whatever the file is.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from typing import Any, BinaryIO, NamedTuple

import msgspec

from eventstore.errors import EventstoreError

CSV, JSON_LINES = "csv", "jsonl"
DELIMITERS = ",;\t|"
QUOTE = '"'
LONGEST_LINE = 65_536
"""Characters of a line, and of a record that its quoted line breaks make of several."""
MOST_LINES = 50
"""Lines of such a record. One whose quotation mark is never closed takes no more than its own line with it."""
KEPT = 1_000
"""Characters of a line that couldn't be read, to be shown."""

LINE, ERRORS, UNREADABLE = "line", "errors", "unreadable"
NOTES = (LINE, ERRORS)
"""What a file of refused lines has besides the lines, and whoever reads it leaves out."""

DAMAGED = "\N{REPLACEMENT CHARACTER}"


class FileRefused(EventstoreError):
    """The file can't be read at all."""

    code = "file-refused"


class Fault(NamedTuple):
    """What is wrong with a line; `column` is empty where it is all of it."""

    column: str
    text: str


class Line(NamedTuple):
    """A record, by the number of the line that it begins in: what it says, by column, or what is wrong.

    `content` is what was written, as far as it could be taken apart: cells, or an object of JSON.
    """

    number: int
    values: Mapping[str, Any]
    faults: Sequence[Fault]
    content: Any


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written. What is empty is told by the file itself: its encoding by its byte order mark, or else it
    is UTF-8, and its delimiter by its first line. `columns` names columns that the file calls otherwise.
    """

    kind: str = CSV
    encoding: str = ""
    delimiter: str = ""
    columns: dict[str, str] = {}


class Lines:
    """The lines of a file. `columns` are those that a CSV file may have, `needed` those that it must have.

    Raises `FileRefused` for a file whose beginning can't be understood.
    """

    def __init__(
        self, file: BinaryIO, written: Format, *, columns: Collection[str] = (), needed: Collection[str] = ()
    ) -> None:
        self._text = _decoded(file, written.encoding)
        self._file, self._number = file, 0
        self._is_json = written.kind == JSON_LINES
        self.delimiter, self.header = "", list[str]()
        if not self._is_json:
            self._read_header(written, columns, needed)

    @property
    def read(self) -> int:
        """Bytes that were read so far."""
        return self._file.tell()

    def __iter__(self) -> Iterator[Line]:
        for number, text in self._records():
            if not text.strip():
                continue
            line = self._json(number, text) if self._is_json else self._cells(number, text)
            if line is not None:
                yield line

    def _read_header(self, written: Format, columns: Collection[str], needed: Collection[str]) -> None:
        first = self._text.readline(LONGEST_LINE)
        self._number = 1
        self.delimiter = written.delimiter or max(DELIMITERS, key=first.count)
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise FileRefused("A delimiter is one character.")
        names = {there: name for name, there in written.columns.items()}
        cells = next(csv.reader([first.strip("\r\n")], delimiter=self.delimiter), [])
        self.header = [names.get(cell.strip(), cell.strip()) for cell in cells]
        if not any(self.header):
            raise FileRefused("The first line names the columns, and this one is empty.")
        if len(set(self.header)) < len(self.header):
            raise FileRefused("A column is there twice.")
        unknown = [name for name in self.header if name not in columns and name not in NOTES]
        missing = [name for name in needed if name not in self.header]
        if unknown or missing:
            raise FileRefused(_about_columns(unknown, missing, columns))

    def _records(self) -> Iterator[tuple[int, str]]:
        """Lines, those that belong together by a quoted line break as one. Ahead are lines that were looked at in vain
        for the end of a quotation.
        """
        ahead: list[str] = []
        while text := self._next(ahead):
            number, self._number = self._number + 1, self._number + 1
            if not self._is_json and QUOTE in text and _ends_quoted(text, self.delimiter):
                whole = [text]
                while len(whole) < MOST_LINES and _ends_quoted("".join(whole), self.delimiter):
                    more = ahead.pop(0) if ahead else self._text.readline(LONGEST_LINE)
                    whole.append(more)
                    if not more or sum(map(len, whole)) > LONGEST_LINE:
                        break
                if _ends_quoted("".join(whole), self.delimiter):
                    ahead[:0] = filter(None, whole[1:])
                else:
                    text, self._number = "".join(whole), self._number + len(whole) - 1
            yield number, text

    def _next(self, ahead: list[str]) -> str:
        """A line, of which no more is kept than its bounded beginning."""
        text = ahead.pop(0) if ahead else self._text.readline(LONGEST_LINE)
        rest = text
        while len(rest) == LONGEST_LINE and not rest.endswith(("\n", "\r")):
            rest = ahead.pop(0) if ahead else self._text.readline(LONGEST_LINE)
        return text

    def _cells(self, number: int, text: str) -> Line | None:
        if (fault := _too_long(text)) or _ends_quoted(text, self.delimiter):
            unclosed = Fault("", f"A quotation mark is not closed within {MOST_LINES} lines.")
            return Line(number, {}, [fault or unclosed], [text.strip()[:KEPT]])
        cells = next(csv.reader([text], delimiter=self.delimiter), [])
        if not any(cell.strip() for cell in cells):
            return None
        if len(cells) != len(self.header):
            fault = Fault("", f"Of {len(self.header)} columns it has {len(cells)}.")
            return Line(number, {}, [fault], self._without_notes(cells))
        values = {name: cell for name, cell in zip(self.header, cells, strict=True) if name not in NOTES}
        faults = _unreadable(values) if DAMAGED in text or "\0" in text else []
        return Line(number, values, faults, self._without_notes(cells))

    def _without_notes(self, cells: Sequence[str]) -> list[str]:
        notes = {number for number, name in enumerate(self.header) if name in NOTES}
        return [cell for number, cell in enumerate(cells) if number not in notes]

    def _json(self, number: int, text: str) -> Line:
        if fault := _too_long(text):
            return Line(number, {}, [fault], {UNREADABLE: text[:KEPT]})
        try:
            values = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            return Line(number, {}, [Fault("", f"This is no object of JSON: {error}.")], {UNREADABLE: text[:KEPT]})
        for name in NOTES:
            values.pop(name, None)
        return Line(number, values, _unreadable(values), values)


def written_as(number: int, content: Any, faults: Iterable[Fault]) -> list[str] | dict[str, Any]:
    """A refused line as the file of refused lines has it: with its number, and all that is wrong."""
    if isinstance(content, dict):
        return {LINE: number, ERRORS: [fault._asdict() for fault in faults], **content}
    said = " ".join(f"{column}: {text}" if column else text for column, text in faults)
    return [str(number), said, *content]


def _decoded(file: BinaryIO, encoding: str) -> TextIOWrapper:
    """Whatever can't be decoded is read as damaged."""
    begin = file.read(2)
    file.seek(0)
    told = "utf-16" if begin in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return TextIOWrapper(file, encoding=encoding or told, errors="replace", newline="")
    except LookupError:
        raise FileRefused(f"There is no encoding {encoding}.") from None


def _ends_quoted(text: str, delimiter: str) -> bool:
    """Whether the last cell has begun with a quotation mark that isn't closed."""
    if QUOTE not in text:
        return False
    begins = rf'(?:^|{re.escape(delimiter)})"(?:[^"]|"")*+("?)'
    return any(not match[1] for match in re.finditer(begins, text))


def _too_long(text: str) -> Fault | None:
    return Fault("", f"It is longer than {LONGEST_LINE:,} characters.") if len(text) >= LONGEST_LINE else None


def _unreadable(values: Any, path: str = "") -> list[Fault]:
    """What no table takes, and what was lost when the file was written or read."""
    if isinstance(values, Mapping):
        inner = ((f"{path}.{name}" if path else name, value) for name, value in values.items())
        return [fault for name, value in inner for fault in _unreadable(value, name)]
    if isinstance(values, str) and "\0" in values:
        return [Fault(path, "There is a NUL in it.")]
    if isinstance(values, str) and DAMAGED in values:
        return [Fault(path, "There are characters in it that can't be read: is this the encoding of the file?")]
    return []


def _about_columns(unknown: Sequence[str], missing: Sequence[str], columns: Collection[str]) -> str:
    said = [f"There is no column {', '.join(map(repr, unknown))}: they are {', '.join(columns)}."] if unknown else []
    return " ".join([*said, *([f"It needs a column {', '.join(map(repr, missing))}."] if missing else [])])
