"""Every setting of projections."""

from collections.abc import Sequence
from typing import Any

from eventstore.conf import Setting, file, is_name

LOCK = file(
    "PROJECTIONS_LOCK", "The lock file, which keeps the code of each version of a projection; None for no lock."
)
VERIFY_SAMPLE = Setting(
    "PROJECTIONS_VERIFY_SAMPLE",
    0.01,
    "The share of the keys of every projection that each scheduled verification compares, another one each time.",
    "a number above 0 and at most 1",
    lambda value: isinstance(value, int | float) and 0 < value <= 1,
)
SCHEMA = Setting(
    "PROJECTIONS_SCHEMA",
    "public",
    "The schema of the database in which migrations make the read tables.",
    "the name of a schema",
    is_name,
)

APPROVED_BY_ANOTHER = Setting(
    "PROJECTIONS_APPROVED_BY_ANOTHER",
    False,
    "Whether a rebuild that is held has to be approved by another person than the one who asked for it.",
    "True or False",
    lambda value: isinstance(value, bool),
)

SETTINGS: Sequence[Setting[Any]] = (LOCK, VERIFY_SAMPLE, SCHEMA, APPROVED_BY_ANOTHER)
