"""A side effect of which two would be worse than none: a line in the file NOTES."""

import os
from pathlib import Path

from eventstore.events import Meta
from ordering.domain.order import OrderConfirmed
from sagas.effects.effect import AT_MOST_ONCE, effect


@effect("probe.once", on=OrderConfirmed, delivery=AT_MOST_ONCE)
def note_once(event: OrderConfirmed, meta: Meta) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{note_once.idempotency_key(meta)}\n")
