"""A side effect that is the death of whichever process carries it out, after a line in the file NOTES."""

import os
import signal
from pathlib import Path

from eventstore.events import Meta
from ordering.domain.customer import CustomerRegistered
from sagas.effects.effect import AT_LEAST_ONCE, effect


@effect("probe.deadly", on=CustomerRegistered, delivery=AT_LEAST_ONCE, retries=1)
def die(event: CustomerRegistered, meta: Meta) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{die.idempotency_key(meta)}\n")
    os.kill(os.getpid(), signal.SIGKILL)
