"""Payment references for a transfer: short, readable on paper and by machines, and safe against a slip of the pen.

KXWN-HFY6-9K9J is the prefix KX, a check character, and nine characters of the payment's id, in groups of four. None of
the characters looks like another, so whatever else is written for one can be read as the one that it resembles.
"""

import re
import unicodedata
from collections.abc import Iterator
from uuid import UUID

ALPHABET = "34679ACDEFGHJKMNPRTVWXY"
"""Without 0, O and Q, 1, I and L, 2 and Z, 5 and S, 8 and B, U. A prime number of them, see `_checks`."""

LOOK_ALIKES = str.maketrans("0OQU12ZIL5S8B", "DDDV777JJ6633")
"""What else is written or recognized on paper, and what it is read as."""

PREFIX = "KX"
LENGTH = 12
GROUP = 4
ID_BITS = 40

SEPARATOR = re.compile(r"[\s._\-\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+")
CANDIDATE = re.compile(rf"(?=({PREFIX}[{ALPHABET}]{{{LENGTH - len(PREFIX)}}}))")


def reference_of(payment_id: UUID) -> str:
    """The reference of a payment, always the same. Of two payments it is the same once in a long while, as an order's
    number is.
    """
    rest, values = payment_id.int & (1 << ID_BITS) - 1, []
    for _ in range(LENGTH - len(PREFIX) - 1):
        rest, value = divmod(rest, len(ALPHABET))
        values.append(value)
    check = -sum(weight * value for weight, value in enumerate(values, start=2)) % len(ALPHABET)
    return grouped(PREFIX + "".join(ALPHABET[value] for value in (check, *values)))


def find_references(text: str) -> list[str]:
    """All references in a text, each once, as `reference_of` writes them, however they are spaced, broken and spelt."""
    return list(dict.fromkeys(grouped(found) for found in _valid(squeezed(text))))


def squeezed(text: str) -> str:
    """A text without spaces, line breaks and dashes, in capitals, with each look-alike as what it is read as."""
    return SEPARATOR.sub("", unicodedata.normalize("NFKC", text)).upper().translate(LOOK_ALIKES)


def grouped(reference: str) -> str:
    return "-".join(reference[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def _valid(text: str) -> Iterator[str]:
    end = 0
    for found in CANDIDATE.finditer(text):
        if found.start() >= end and _checks(found[1]):
            end = found.start() + LENGTH
            yield found[1]


def _checks(reference: str) -> bool:
    """Each place has a weight of its own, and the weighted sum is a multiple of a prime. One wrong character changes it
    by a product of two smaller numbers, two that are swapped by one of two differences: neither is a multiple.
    """
    values = [ALPHABET.index(character) for character in reference[len(PREFIX) :]]
    return sum(weight * value for weight, value in enumerate(values, start=1)) % len(ALPHABET) == 0
