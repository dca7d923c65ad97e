"""The subscribers of this process, and the rows in which their checkpoints stand."""

import re
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import psycopg
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import conf, database, store
from eventstore.errors import UnknownSubscriber
from eventstore.models import SubscriberRow
from eventstore.subscriptions.outbox import Outbox
from eventstore.subscriptions.subscriber import Mode, Rank, Shard, Subscriber


class Registry:
    """The subscribers of this process, in the order they are fed."""

    def __init__(self) -> None:
        self._declared: list[Subscriber] = []
        self._ready: WeakSet[psycopg.Connection[Any]] = WeakSet()
        self._adopted: set[str] = set()

    def register(self, *subscribers: Subscriber) -> None:
        """Let these follow the log too, after those of a lower rank."""
        self._declared.extend(subscribers)
        self._declared.sort(key=lambda subscriber: subscriber.rank)

    def unregister(self, *subscribers: Subscriber) -> None:
        """Let these follow it no longer. Their rows stay. Raises ValueError for one that isn't registered."""
        for subscriber in subscribers:
            self._declared.remove(subscriber)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(self._declared)

    def __getitem__(self, name: str) -> Subscriber:
        """The subscriber of this name, or the shard of one as its row is called. Raises `UnknownSubscriber`."""
        declared = {subscriber.name: subscriber for subscriber in self._declared}
        if name in declared:
            return declared[name]
        whole, _, place = name.rpartition(" ")
        match = re.fullmatch(r"(\d+)/(\d+)", place)
        if whole in declared and match and 1 <= int(match[1]) <= int(match[2]):
            return Shard(declared[whole], int(match[1]) - 1, int(match[2]))
        raise UnknownSubscriber(f"No subscriber is declared as {name!r}.")

    def names(self, rank: Rank) -> list[str]:
        """The names of the subscribers of one kind, in the order they are fed."""
        return [subscriber.name for subscriber in self._declared if subscriber.rank is rank]

    def here(self) -> list[Subscriber]:
        """Those that this process runs: all, unless the setting `EVENTSTORE_ONLY` names some. Nobody else is fed by it,
        and of sagas and effects that it doesn't run it sends no command and carries nothing out.
        """
        only = conf.ONLY.get()
        return [subscriber for subscriber in self._declared if only is None or subscriber.name in only]

    def of(self, mode: Mode) -> list[Subscriber]:
        """Those that this process runs and that are fed in this way."""
        configured = conf.MODES.get()
        return [subscriber for subscriber in self.here() if subscriber.mode_in(configured) is mode]

    def outboxes(self) -> list[Outbox]:
        """Those in which some subscriber keeps what it wants sent."""
        return list(dict.fromkeys(each.outbox for each in self._declared if each.outbox is not None))

    def make_rows(self, *, using: str = DEFAULT_DB_ALIAS) -> None:
        """See to it that every subscriber has its row, before anything is appended over this connection; once each,
        for the next one may lead to a standby that was promoted and lacks some. The rows that are there follow the code
        once a process: whoever connects anew takes nothing back from those that started later.

        Made on first use, a new saga would miss the very event that it was deployed for. Raises `SequenceSetBack`.
        """
        raw = database.session(using)
        if raw in self._ready:
            return
        store.refuse_set_back(using=using)
        with transaction.atomic(using):
            self._make_rows(using)
            if using not in self._adopted:
                self._adopt_rows(using)
        self._adopted.add(using)
        self._ready.add(raw)

    def forget_rows(self) -> None:
        """The rows may be gone, as after a test emptied the tables."""
        self._ready.clear()
        self._adopted.clear()

    def _make_rows(self, using: str) -> None:
        head = store.head(using=using)
        begins = {subscriber.name: subscriber.begins_at(head) for subscriber in self}
        known = set(SubscriberRow.objects.using(using).values_list("subscriber", flat=True))
        SubscriberRow.objects.using(using).bulk_create(
            [
                SubscriberRow(
                    name=subscriber.name,
                    subscriber=subscriber.name,
                    rank=subscriber.rank,
                    mode=subscriber.mode,
                    version=subscriber.version,
                    types_hash=subscriber.types_hash,
                    fingerprint=subscriber.fingerprint,
                    checkpoint=begins[subscriber.name],
                    began_after=begins[subscriber.name],
                )
                for subscriber in self
                if subscriber.name not in known
            ],
            ignore_conflicts=True,
        )

    def _adopt_rows(self, using: str) -> None:
        for row in SubscriberRow.objects.using(using).filter(subscriber__in=[each.name for each in self]):
            self._adopt(row, using)

    def _adopt(self, row: SubscriberRow, using: str) -> None:
        """Let a row follow the code where nothing speaks against it. One that is split is always fed by workers."""
        subscriber = self[row.subscriber]
        newer = subscriber.version > row.version or subscriber.types_hash != row.types_hash
        if newer and subscriber.version >= row.version and subscriber.can_upgrade(row):
            row.version, row.types_hash, row.fingerprint = (
                subscriber.version,
                subscriber.types_hash,
                subscriber.fingerprint,
            )
            row.save(using=using, update_fields=["version", "types_hash", "fingerprint"])
        mode = subscriber.mode if row.shards == 1 else Mode.ASYNC
        if row.mode != mode:
            SubscriberRow.objects.using(using).filter(pk=row.pk).update(mode=mode)


registry = Registry()


register = registry.register
