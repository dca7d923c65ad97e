"""A read table that refuses what a test calls poison: its events can't be applied, and nothing in the code is faked."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from tests.integration.eventstore import raw


class Poison:
    """Names that the table of customers refuses."""

    def __init__(self, owner: psycopg.Connection) -> None:
        self._owner = owner
        self._refused: list[str] = []

    def take(self, name: str) -> None:
        self._owner.execute(
            f"ALTER TABLE ordering_customerprofile ADD CONSTRAINT no_{name} CHECK (name <> '{name}') NOT VALID"
        )
        self._refused.append(name)

    def mend(self) -> None:
        while self._refused:
            self._owner.execute(f"ALTER TABLE ordering_customerprofile DROP CONSTRAINT no_{self._refused.pop()}")


@contextmanager
def poisoned() -> Iterator[Poison]:
    """The name `poison` is refused until it is mended."""
    with closing(raw.connect("owner", autocommit=True)) as owner:
        poison = Poison(owner)
        poison.take("poison")
        try:
            yield poison
        finally:
            poison.mend()
