"""Buys until it is asked to stop: registers, changes, orders, pays, declines, cancels, lets time run out; and prints
what it was told.

WRITER_ORDERS is how many orders it places before it ends by itself (0: it doesn't), WRITER_PAUSE how many seconds at
most lie between one command and the next of the same buyer (0.1).

A line is `acknowledged`, `refused` or `failed`, the command's id, and the last position that it appended (0 for none),
the refusal's code, or the error. What failed is mostly sent again under the same id, as a careful client does, and
sometimes given up: then nobody knows whether it happened.
"""

import itertools
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType
from uuid import UUID

import django

django.setup()

from django.db import connections  # noqa: E402 - Django comes first
from django.db.models.functions import Now  # noqa: E402

from eventstore.aggregates import Command  # noqa: E402
from eventstore.commands import dispatch  # noqa: E402
from eventstore.context import new_id  # noqa: E402
from eventstore.errors import ConcurrencyConflict, DomainError  # noqa: E402
from eventstore.transient_errors import is_infrastructure  # noqa: E402
from ordering.domain.customer import ChangeCustomer, RegisterCustomer  # noqa: E402
from ordering.domain.order import CancelOrder, ExpireOrder, PlaceOrder, RequestStatusMail  # noqa: E402
from ordering.domain.payment import AcceptPayment, DeclinePayment  # noqa: E402
from ordering.domain.seats import Line  # noqa: E402
from ordering.domain.values import Money, payment_id_of  # noqa: E402
from sagas.models import Timer  # noqa: E402
from tests.integration.shop import PRICE  # noqa: E402

BUYERS = 2
PAUSE = float(os.environ.get("WRITER_PAUSE", "0.1"))
ORDERS = int(os.environ.get("WRITER_ORDERS", "0"))


class Buyer:
    """One client: its commands go one after the other. Each order takes one of the `tickets` that all share."""

    def __init__(self, seed: str, conferences: Sequence[UUID], tickets: Iterator[int], ending: threading.Event) -> None:
        self.random = random.Random(seed)
        self.conferences, self.tickets, self.ending = conferences, tickets, ending
        self.customers: list[UUID] = []

    def buy(self) -> None:
        try:
            while not self.ending.is_set() and next(self.tickets, None) is not None:
                self._sale()
        finally:
            self.ending.set()
            connections.close_all()

    def _sale(self) -> None:
        order_id, quantity = new_id(), self.random.randint(1, 4)
        placed = self._send(
            PlaceOrder(
                order_id=order_id,
                customer_id=self._customer(),
                conference_id=self.random.choice(self.conferences),
                lines=(Line("standard", quantity),),
            )
        )
        if placed:
            for step in self._fate(order_id, PRICE * quantity):
                step()

    def _fate(self, order_id: UUID, total: Money) -> tuple[Callable[[], object], ...]:
        payment_id = payment_id_of(order_id)

        def send(command: Command) -> Callable[[], object]:
            return partial(self._send, command)

        pay = send(AcceptPayment(payment_id=payment_id, amount=total, reference=f"REF-{order_id.hex[-12:]}"))
        pay_anew = send(AcceptPayment(payment_id=payment_id, amount=total, reference=f"NEW-{order_id.hex[-12:]}"))
        decline = send(DeclinePayment(payment_id=payment_id, reason="The card was declined."))
        cancel, expire = send(CancelOrder(order_id=order_id)), send(ExpireOrder(order_id=order_id))
        ask = send(RequestStatusMail(order_id=order_id))
        let_run_out = partial(self._let_run_out, order_id)
        fates: dict[tuple[Callable[[], object], ...], int] = {
            (pay,): 6,
            (pay, pay): 1,
            (pay, pay_anew): 1,
            (decline, pay): 2,
            (pay, ask): 2,
            (cancel,): 1,
            (pay, cancel): 2,
            (expire, pay): 1,
            (let_run_out,): 1,
            (let_run_out, pay): 1,
            (): 2,
        }
        return self.random.choices(list(fates), list(fates.values()))[0]

    def _let_run_out(self, order_id: UUID) -> None:
        """As if the time to pay were over. Whether it comes before a payment that follows is up to the workers."""
        try:
            Timer.objects.filter(key=order_id, status="waiting").update(due_at=Now())
        except Exception as error:
            if not is_infrastructure(error):
                raise
            connections.close_all()

    def _customer(self) -> UUID:
        if self.customers and self.random.random() < 0.7:
            known = self.random.choice(self.customers)
            if self.random.random() < 0.3:
                self._send(ChangeCustomer(customer_id=known, name=f"Ada {self.random.randint(2, 99)}"))
            return known
        customer_id = new_id()
        email = f"{customer_id.hex}@example.org"
        if self._send(RegisterCustomer(customer_id=customer_id, name="Ada", email=email)):
            self.customers.append(customer_id)
        return customer_id

    def _send(self, command: Command) -> bool:
        """Whether the command was acknowledged."""
        self.ending.wait(self.random.uniform(0, PAUSE))
        command_id = new_id()
        while True:
            try:
                receipt = dispatch(command, command_id=command_id)
            except (DomainError, ConcurrencyConflict) as refusal:
                tell("refused", command_id, refusal.code)
                return False
            except Exception as error:
                if not is_infrastructure(error):
                    raise
                connections.close_all()
                tell("failed", command_id, type(error).__name__)
                if self.random.random() < 0.2:
                    return False
                self.ending.wait(self.random.uniform(0, 1))
            else:
                tell("acknowledged", command_id, receipt.position or 0)
                return True


def tell(outcome: str, command_id: UUID, what: object) -> None:
    """One write, so that a line is there as a whole or isn't."""
    os.write(sys.stdout.fileno(), f"{outcome} {command_id} {what}\n".encode())


def main(seed: str, *conferences: str) -> None:
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    tickets = iter(range(ORDERS)) if ORDERS else itertools.count()
    buyers = [Buyer(f"{seed} {number}", [*map(UUID, conferences)], tickets, ending) for number in range(BUYERS)]
    with ThreadPoolExecutor(BUYERS) as pool:
        for bought in [pool.submit(buyer.buy) for buyer in buyers]:
            bought.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
