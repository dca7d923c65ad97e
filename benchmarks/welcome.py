"""New customers whose profiles can't be read yet, because staff paused the read model: their welcome mails wait for it.

Imported once Django knows the database.
"""

import time

from benchmarks.mailbox import Mailbox
from benchmarks.site import BY, Site, select, until
from eventstore import advisory_locks
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Resume
from ordering.domain.customer import RegisterCustomer

NAME = "customer-profiles"
CUSTOMERS = 20
PATIENCE = 60.0

_WAITING = "SELECT count(*) FROM sagas_delivery WHERE effect = 'mail.welcome' AND status = 'waiting'"
_AT_WORK = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"


def recover(site: Site, mailbox: Mailbox) -> tuple[float, float]:
    """Hold up the mails of some new customers; answers how many seconds after the recovery the first and the last came.

    Nobody is at the ledger any more when the read model is resumed, as after any longer outage.
    """
    perform(Pause(target=NAME), by=BY)
    addresses = {_register() for _ in range(CUSTOMERS)}
    with site.as_application() as application:
        until(lambda: select(application, _WAITING) == [(CUSTOMERS,)], PATIENCE, "all mails wait for the profiles")
        until(
            lambda: select(application, _AT_WORK, advisory_locks.EFFECT_SLOT) == [(0,)],
            PATIENCE,
            "nobody is at the ledger",
        )
    began = time.monotonic()
    perform(Resume(target=NAME), by=BY)
    until(lambda: addresses <= {to for _, to in mailbox.arrivals}, PATIENCE, "all mails have arrived")
    moments = [moment for moment, to in mailbox.arrivals if to in addresses]
    return min(moments) - began, max(moments) - began


def _register() -> str:
    customer_id = new_id()
    email = f"{customer_id.hex}@example.org"
    dispatch(RegisterCustomer(customer_id=customer_id, name="Ada Allen", email=email))
    return email
