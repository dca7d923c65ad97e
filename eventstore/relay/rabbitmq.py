"""A topic exchange of RabbitMQ. Each message is confirmed before the next; one may come twice, under one message id."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from amqp.exceptions import AMQPError
from kombu import Connection, Exchange
from kombu.exceptions import OperationalError

from eventstore.error_texts import describe
from eventstore.feed import Entry
from eventstore.relay.destination import NotPublished

SECONDS = 10.0
"""For which a connection, or a confirmation, is waited for."""


class RabbitExchange:
    """Publishes lasting messages, whose routing key is the type of the event and whose id is that of the event. What no
    queue is bound to at that moment, RabbitMQ drops.
    """

    def __init__(self, url: str, name: str, epoch: UUID) -> None:
        self._epoch = str(epoch)
        self._connection = Connection(url, connect_timeout=SECONDS, transport_options={"confirm_publish": True})
        exchange = Exchange(name, "topic", durable=True, delivery_mode="persistent")
        with _refusals():
            self._connection.connect()
            self._producer = self._connection.Producer(exchange=exchange)

    def last(self) -> int | None:
        """What it had may have been taken already."""
        return None

    def publish(self, entries: Sequence[Entry]) -> None:
        with _refusals():
            for entry in entries:
                self._producer.publish(
                    entry.content,
                    routing_key=entry.type,
                    content_type="application/json",
                    content_encoding="utf-8",
                    headers={"epoch": self._epoch, "position": entry.position},
                    message_id=str(entry.event_id),
                    type=entry.type,
                    timeout=SECONDS,
                    confirm_timeout=SECONDS,
                )

    def close(self) -> None:
        self._connection.release()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (AMQPError, OperationalError, OSError) as error:
        raise NotPublished(describe(error)) from error
