"""Amounts and dates as people and banks write them. What can be read in two ways is refused, not guessed."""

import re
from datetime import date
from decimal import Decimal
from functools import cache

STYLES = ((".", ","), (",", "."), ("'", "."), ("'", ","), (" ", ","), (" ", "."))
"""Which thousands and decimal separators go together."""

SIGNED = re.compile(r"(?P<before>[+-]?) ?(?P<digits>[\d.,' ]*\d) ?(?P<after>[+-]?)", re.ASCII)
SAME = str.maketrans({"\u2212": "-", "\u2019": "'", "\u00a0": " ", "\u202f": " "})

GERMAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})", re.ASCII)
AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})", re.ASCII)
ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def read_amount(text: str, decimal_separator: str | None = None) -> Decimal:
    """An amount with its sign, before or after it. Raises `ValueError` for none, and for one that is ambiguous, such as
    1.234, unless it is said which the decimal separator is.
    """
    signed = SIGNED.fullmatch(text.strip().translate(SAME))
    if not signed or (signed["before"] and signed["after"]):
        raise ValueError(f"{text!r} is no amount.")
    readings = {
        Decimal(signed["digits"].replace(thousands, "").replace(decimal, "."))
        for thousands, decimal in STYLES
        if decimal_separator in (None, decimal) and _written(thousands, decimal).fullmatch(signed["digits"])
    }
    if not readings:
        raise ValueError(f"{text!r} is no amount.")
    if len(readings) > 1:
        raise ValueError(f"{text!r} is ambiguous: say which the decimal separator is.")
    (amount,) = readings
    return -amount if "-" in signed["before"] + signed["after"] else amount


def read_date(text: str, *, american: bool = False) -> date:
    """2026-12-31 or 31.12.2026, and 12/31/2026 only where that is agreed upon. Raises `ValueError`."""
    text = text.strip()
    try:
        if ISO.fullmatch(text):
            return date.fromisoformat(text)
        if german := GERMAN.fullmatch(text):
            return date(_year(german[3]), int(german[2]), int(german[1]))
        if american and (slashed := AMERICAN.fullmatch(text)):
            return date(_year(slashed[3]), int(slashed[1]), int(slashed[2]))
    except ValueError:
        raise ValueError(f"There is no day {text!r}.") from None
    raise ValueError(f"{text!r} is no date.")


@cache
def _written(thousands: str, decimal: str) -> re.Pattern[str]:
    thousands, decimal = re.escape(thousands), re.escape(decimal)
    return re.compile(rf"([1-9]\d{{0,2}}({thousands}\d{{3}})+|\d+)({decimal}\d+)?", re.ASCII)


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)
