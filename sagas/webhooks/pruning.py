"""Old deliveries are forgotten, with what was answered."""

from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS

from eventstore import database
from sagas import conf
from sagas.webhooks import queries

AT_ONCE = 1_000


def prune(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Forget what ended longer ago than it is kept; answers how many that were."""
    kept = timedelta(days=conf.WEBHOOKS_KEPT_DAYS.get()).total_seconds()
    return sum(iter(lambda: _some(kept, using), 0))


def _some(kept: float, using: str) -> int:
    with database.cursor(using) as cursor:
        return cursor.execute(queries.PRUNE, [kept, AT_ONCE]).rowcount
