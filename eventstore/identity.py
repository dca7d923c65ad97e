"""Whether this database is the one that its log says it is in.

A copy of the log (a restored backup, a clone for a test) remembers what the original was about to do: mails in its
ledger, commands of sagas, timers. Its database is another one, so until staff confirm that it is the one to act now,
none of them is sent from it. (A *fencing token*, as Martin Kleppmann describes it, kept by the log itself.)
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import context, database, queries
from eventstore.errors import NothingToConfirm
from eventstore.models import LogIdentity


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
    """Whether nothing may be sent from here."""
    return epoch(using=using) is None


def epoch(*, using: str = DEFAULT_DB_ALIAS) -> UUID | None:
    """The name of this log; None while it is fenced. A connection need not ask again once a primary told it: it leads
    to one server. That of a standby may be promoted under it.
    """
    raw = database.session(using)
    if raw in _epochs:
        return _epochs[raw]
    ((found, in_recovery),) = database.pipeline(database.Statement(queries.EPOCH), using=using)[0]
    named: UUID | None = found
    if named is not None and not in_recovery:
        _epochs[raw] = named
    return named


_epochs: WeakKeyDictionary[psycopg.Connection[Any], UUID] = WeakKeyDictionary()
"""By connection to a primary that is where its log says it is: the name of that log."""


def identity(*, using: str = DEFAULT_DB_ALIAS) -> Identity:
    """What is remembered, and what is found."""
    kept = LogIdentity.objects.using(using).first()
    with database.cursor(using) as cursor:
        row = cursor.execute(queries.HERE).fetchone()
    here = row[0] if row else ""
    if kept is None:
        return Identity("", here, None)
    return Identity(kept.database, here, kept.epoch, kept.confirmed_by, kept.confirmed_at)


def confirm(*, by: str, using: str = DEFAULT_DB_ALIAS) -> UUID:
    """This database is the one to act from now on; answers the name of the new epoch. Raises `NothingToConfirm`."""
    new = context.new_id()
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        if cursor.execute(queries.CONFIRM, [new, by]).rowcount == 0:
            raise NothingToConfirm
    return new
