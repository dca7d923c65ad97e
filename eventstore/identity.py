"""Whether this database is the one that its log says it is in.

A copy of the log (a restored backup, a clone for a test) remembers what the original was about to do: mails in its
ledger, commands of sagas, timers. Its database is another one, so until staff confirm that it is the one to act now,
none of them is sent from it. (A *fencing token*, as Martin Kleppmann describes it, kept by the log itself.)
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import context, store
from eventstore.errors import NothingToConfirm
from eventstore.models import LogIdentity
from eventstore.operations import Operation, operation

# A cluster copied file by file keeps its number, but begins a new timeline when it is recovered. One that was promoted
# is on its timeline at once, and tells so by its checkpoints only some time later.
DATABASE = """(SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database
    WHERE datname = current_database()) || '/' || greatest((SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery()))"""
_FENCED = f"SELECT NOT EXISTS (SELECT FROM eventstore_identity WHERE database = {DATABASE}), pg_is_in_recovery()"
_HERE = f"SELECT {DATABASE}"
_CONFIRM = f"""INSERT INTO eventstore_identity AS kept (id, database, epoch, confirmed_by, confirmed_at)
    VALUES (true, {DATABASE}, %s, %s, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET database = excluded.database, epoch = excluded.epoch,
        confirmed_by = excluded.confirmed_by, confirmed_at = excluded.confirmed_at
        WHERE kept.database <> excluded.database"""


LOG = "log"
"""What the log is called as the target of an operation."""


class Identity(NamedTuple):
    """The database that the log was confirmed to be in, by whom and when; the one that it is in; and the name of this
    log. Nobody confirmed the database that it began in.
    """

    confirmed: str
    here: str
    epoch: UUID | None
    confirmed_by: str = ""
    confirmed_at: datetime | None = None

    @property
    def is_fenced(self) -> bool:
        return self.confirmed != self.here


def is_fenced(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether nothing may be sent from here. A connection need not ask again once a primary told it no: it leads to one
    server. That of a standby may be promoted under it.
    """
    raw = store.session(using)
    if raw.__dict__.get("eventstore_unfenced"):
        return False
    ((fenced, in_recovery),) = store.together(store.Statement(_FENCED), using=using)[0]
    raw.__dict__["eventstore_unfenced"] = not fenced and not in_recovery
    return bool(fenced)


def identity(*, using: str = DEFAULT_DB_ALIAS) -> Identity:
    """What is remembered, and what is found."""
    kept = LogIdentity.objects.using(using).first()
    with store.cursor(using) as cursor:
        row = cursor.execute(_HERE).fetchone()
    here = row[0] if row else ""
    if kept is None:
        return Identity("", here, None)
    return Identity(kept.database, here, kept.epoch, kept.confirmed_by, kept.confirmed_at)


def confirm(*, by: str, using: str = DEFAULT_DB_ALIAS) -> UUID:
    """This database is the one to act from now on; answers the name of the new epoch. Raises `NothingToConfirm`."""
    epoch = context.new_id()
    with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
        if cursor.execute(_CONFIRM, [epoch, by]).rowcount == 0:
            raise NothingToConfirm
    return epoch


@operation("confirm", verb="Let this log act", permission="eventstore.confirm_identity", needs_reason=True)
class Confirm(Operation, frozen=True, kw_only=True):
    """Let what was copied act: this database is the one to send mails, commands and timers from."""

    ranks = frozenset()

    subscriber: str = LOG

    @classmethod
    def concerns(cls, target: str) -> bool:
        return target == LOG

    def foresee(self) -> str:
        found = identity()
        if not found.is_fenced:
            raise NothingToConfirm
        return (
            f"From now on mails, commands of sagas and timers are sent from this database ({found.here}), those as well"
            f" that were waiting in the one that it was copied from ({found.confirmed or 'unknown'}). If that one acts"
            " still, they are sent twice."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        return f"acts from here, in the epoch {confirm(by=by)}"
