"""The function by which a batch begins, as it might have been written."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from eventstore.sql import FOLDER
from eventstore.subscriptions import queries
from tests.integration.eventstore import raw

NAME, OTHER = "eventstore_acquire_v3", "eventstore_acquire_otherwise"


@contextmanager
def acquires_with(instead: Mapping[str, str]) -> Iterator[str]:
    """Has one beside it that says these things instead of those; answers the query that calls it."""
    source = (FOLDER / "acquire_v3.sql").read_text()
    for said, other in {NAME: OTHER, **instead}.items():
        assert said in source
        source = source.replace(said, other)
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(source)
        try:
            yield queries.ACQUIRE.replace(NAME, OTHER)
        finally:
            owner.execute(f"DROP FUNCTION {OTHER}")
