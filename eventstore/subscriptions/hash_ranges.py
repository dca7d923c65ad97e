"""Ranges of the hashes of keys, so that several processes share the work of one subscriber.

A key belongs to a range by the MD5 of its text, read as a number between 0 and 1: evenly spread whatever the keys look
like, and the same in Python and in SQL, where a range is one of the hash's hexadecimal text.
"""

import random
from collections.abc import Hashable
from hashlib import md5
from typing import NamedTuple

from psycopg import sql

DIGITS = 8
"""How many hexadecimal digits of the hash tell the ranges apart."""


class HashRange(NamedTuple):
    """The keys whose hash lies in `[lower, upper)`; both are hexadecimal texts, no `upper` means to the end."""

    lower: str = ""
    upper: str | None = None

    def holds(self, key: Hashable) -> bool:
        hashed = hash_of(key)
        return self.lower <= hashed and (self.upper is None or hashed < self.upper)

    def within(self, other: "HashRange") -> "HashRange":
        """The keys that both hold."""
        uppers = [upper for upper in (self.upper, other.upper) if upper is not None]
        return HashRange(max(self.lower, other.lower), min(uppers, default=None))


ALL = HashRange()


def holds(key: sql.Composable, part: HashRange) -> sql.Composable:
    """`HashRange.holds` in SQL, of a key whose text some SQL gives; true of all where the range is that of all."""
    if part == ALL:
        return sql.SQL("true")
    digest = sql.SQL('md5({}) COLLATE "C"').format(key)
    above = sql.SQL("{} >= {}").format(digest, sql.Literal(part.lower))
    return above if part.upper is None else sql.SQL("{} AND {} < {}").format(above, digest, sql.Literal(part.upper))


def shard(index: int, count: int) -> HashRange:
    """The range of shard `index` of `count`, counted from 0."""
    return _between(index / count, (index + 1) / count)


def share(begin: float, size: float) -> HashRange:
    """The range that begins at a place between 0 and 1 and has this size, cut off at 1."""
    return _between(begin, begin + size)


def sample(size: float) -> HashRange:
    """A range of this size between 0 and 1, another one each time."""
    return share(random.uniform(0, 1 - size), size)


def hash_of(key: Hashable) -> str:
    """The MD5 of a key's text, as PostgreSQL tells it too; of one that it can't have, one that is always the same."""
    return md5(str(key).encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()


def _between(begin: float, end: float) -> HashRange:
    return HashRange(_text(begin) if begin > 0 else "", _text(end) if end < 1 else None)


def _text(place: float) -> str:
    """The text that divides the hashes at a place."""
    return f"{int(place * 16**DIGITS):0{DIGITS}x}"
