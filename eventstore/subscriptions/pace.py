"""How many events this process applies at a time.

PostgreSQL ends a transaction that its process seems to have left; and one that is busy in Python for longer than a
transaction may be idle seems to. Then fewer events are tried, subscriber by subscriber, until that goes well again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from eventstore import database
from eventstore.database import Statement
from eventstore.subscriptions import parking, queries
from eventstore.subscriptions.subscriber import Subscriber
from eventstore.transient_errors import is_lost

log = structlog.get_logger(__name__)

BATCH = 500
TRIES = 10


class Pace:
    """The most events of a batch; and over whom the connection was lost."""

    FEWER, MORE = 8, 2

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing was lost."""
        self.most = BATCH
        self._lost: dict[str, str] = {}

    @property
    def is_slow(self) -> bool:
        """Whether each is to be fed by itself."""
        return self.most < BATCH

    def quicken(self) -> None:
        """It went well."""
        self.most = min(BATCH, self.most * self.MORE)

    @contextmanager
    def trying(self, subscriber: Subscriber | None = None) -> Iterator[None]:
        """Feed, somebody or one by itself: should the connection be lost over that one, it is told over the next."""
        try:
            yield
        except Exception as error:
            if is_lost(error):
                self.most = max(1, self.most // self.FEWER)
                log.warning("batch_lost_connection", fewer=self.most)
                if subscriber is not None:
                    self._lost[subscriber.name] = parking.describe(error)
            raise

    def tell(self, using: str) -> None:
        """Note as their failure that the connection was lost over these: each once, whichever threads are at it."""
        for name in list(self._lost):
            told = self._lost.pop(name, None)
            if told is not None:
                self._tell(name, told, using)

    def _tell(self, name: str, told: str, using: str) -> None:
        try:
            database.pipeline(Statement(queries.NOTE_FAILURE, [told, TRIES, name]), using=using)
        except Exception:
            self._lost.setdefault(name, told)
            raise
        log.warning("subscriber_lost_connection", subscriber=name, error=told)


pace = Pace()
