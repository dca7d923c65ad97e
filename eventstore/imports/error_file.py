"""The lines of a file that were refused, as a file: corrected, it is fed again."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

import msgspec

from eventstore.imports.lines import ERRORS, JSON_LINES, LINE, NOTES, Format, written_as
from eventstore.imports.runs import Refused

ENCODING = "utf-8-sig"
"""With a byte order mark, by which spreadsheets know it."""


def write(
    out: TextIO, refused: Iterable[Refused], written: Format, header: Sequence[str] = (), delimiter: str = ","
) -> None:
    """Write lines with their numbers and all that is wrong with them, in front of what they say."""
    if written.kind == JSON_LINES:
        made = (msgspec.json.encode(written_as(*each)).decode() for each in refused)
        out.writelines(f"{line}\n" for line in made)
        return
    rows = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    rows.writerow([LINE, ERRORS, *(name for name in header if name not in NOTES)])
    rows.writerows(written_as(*each) for each in refused)
