"""An installation of version 1.0.0 in the spare database, and what is done there since."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg

from eventstore.commands import dispatch
from ordering.domain.payment import AcceptPayment
from ordering.domain.values import Money, payment_id_of
from ordering.models import OrderSummary
from tests.integration.copying import COPY, spare_database

BASE_DIR = Path(__file__).parents[2]
DATABASE = Path(__file__).parent / "release_1_0" / "database.sql"
MIGRATIONS = {"auth": "0012", "eventstore": "0014", "projections": "0004", "sagas": "0006", "ordering": "0004"}
CHANGED = ["customer-profiles", "order-summaries", "sales-by-day", "sales-by-conference", "seat-availability"]
"""The projections that have a new version since."""


@contextmanager
def installed() -> Iterator[dict[str, str]]:
    """Its data, where its migrations have been; answers the environment of programs that run on it."""
    with spare_database() as environment:
        as_owner = environment | {"DATABASE_URL": environment["DATABASE_OWNER_URL"]}
        for app, number in MIGRATIONS.items():
            manage(as_owner, "migrate", "--verbosity=0", app, number)
        with psycopg.connect(environment["DATABASE_OWNER_URL"]) as database:
            database.execute(DATABASE.read_bytes())
        yield environment


def manage(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=BASE_DIR, env=os.environ | environment, check=True, timeout=300)


def in_version_1(status: str) -> list[UUID]:
    """The orders that it showed so, the first placed first."""
    orders = OrderSummary.objects.using(COPY).filter(status=status).order_by("placed_at")
    return list(orders.values_list("pk", flat=True))


def total_of(order_id: UUID) -> Decimal:
    return row(order_id).total


def pay(order_id: UUID, amount: Decimal, reference: str) -> None:
    payment = AcceptPayment(payment_id=payment_id_of(order_id), amount=Money(amount, "EUR"), reference=reference)
    dispatch(payment, using=COPY)


def row(order_id: UUID) -> OrderSummary:
    return OrderSummary.objects.using(COPY).get(pk=order_id)
