"""A stream of Redis (or Valkey). The id of an entry tells the position, so an event is there once or not at all."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from redis import Redis, RedisError

from eventstore.error_texts import describe
from eventstore.feed import Entry
from eventstore.relay.destination import NotPublished

SECONDS = 10.0
"""For which an answer is waited for."""


class RedisStream:
    """Adds entries with the fields `event`, `type` and `epoch`, and keeps about the last `kept` of them, 0 for all. The
    id is the position, with a number for the parts of what was one event when it was stored.
    """

    def __init__(self, url: str, name: str, epoch: UUID, kept: int) -> None:
        self._name, self._epoch, self._kept = name, str(epoch), kept
        self._redis: Any = Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
        self._last = (0, 0)

    def last(self) -> int | None:
        with _refusals():
            if not self._redis.exists(self._name):
                return None
            self._check_log(self._redis.xrevrange(self._name, count=1))
            position, part = self._redis.xinfo_stream(self._name)["last-generated-id"].split(b"-")
        self._last = int(position), int(part)
        return self._last[0]

    def publish(self, entries: Sequence[Entry]) -> None:
        parts = Counter[int]()
        with _refusals(), self._redis.pipeline(transaction=False) as pipeline:
            for entry in entries:
                place = entry.position, parts[entry.position]
                parts[entry.position] += 1
                if place > self._last:
                    fields = {"type": entry.type, "epoch": self._epoch, "event": entry.content}
                    pipeline.xadd(self._name, fields, "{}-{}".format(*place), self._kept or None)
                    last = place
            if pipeline.command_stack:
                pipeline.execute()
                self._last = last

    def close(self) -> None:
        self._redis.close()

    def _check_log(self, newest: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        if newest and newest[0][1].get(b"epoch") != self._epoch.encode():
            raise NotPublished(
                f"The stream {self._name} holds events of another log than this one: "
                "delete it, or name another (RELAY_NAME)."
            )


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise NotPublished(describe(error)) from error
