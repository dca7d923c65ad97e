"""The broker that a setting names."""

from uuid import UUID

from eventstore import conf
from eventstore.relay.destination import Destination


def connect(epoch: UUID) -> Destination:
    """Raises `NotPublished`. Imported here, for what isn't used need not be installed."""
    url, name = conf.RELAY_URL.get(), conf.RELAY_NAME.get()
    if url.startswith("redis"):
        from eventstore.relay.redis_stream import RedisStream

        return RedisStream(url, name, epoch, conf.RELAY_KEPT.get())
    from eventstore.relay.rabbitmq import RabbitExchange

    return RabbitExchange(url, name, epoch)
