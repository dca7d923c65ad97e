"""The rows of read models that events are about, for the page of an event."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from eventstore.browsing.chain import ChainEvent, Consequence
from eventstore.codec import Recorded
from eventstore.errors import EventstoreError
from eventstore.subscriptions.registry import registry
from ordering.models import OrderSummary

MOST = 20


def orders(event: Recorded, chain: Sequence[ChainEvent]) -> Iterator[Consequence]:
    """The orders whose rows an event changes."""
    with suppress(EventstoreError):
        summaries = registry["order-summaries"]
        keys = [str(key) for key in summaries.keys(event)] if event.type in summaries.types else []
        for row in OrderSummary.objects.filter(pk__in=keys[:MOST]) if keys else ():
            yield Consequence(
                event_id=event.event_id,
                text=f"order {row.number}",
                page="ordering_ordersummary_change",
                args=(row.pk,),
            )
