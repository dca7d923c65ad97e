"""Where a report is late the provider is asked what it would say: what it tells is recorded like any other report.

An order is asked about while its payment is pending, and every minute when it is about to expire, so that one that is
paid doesn't expire because a message was lost.
"""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from eventstore import identity, repository
from eventstore.error_texts import describe
from eventstore.errors import DomainError
from ordering.domain.payment import Payment
from ordering.models import Inquiry, OrderSummary
from ordering.providers import registry
from ordering.providers.paying import ProviderUnavailable
from ordering.providers.provider import Provider
from ordering.providers.recording import record_any

log = structlog.get_logger(__name__)

BEFORE, AFTER = timedelta(minutes=3), timedelta(minutes=15)
"""How long before its deadline an order is about to expire, and how long after, for one may have some grace."""

SOON, LATER = timedelta(seconds=50), timedelta(minutes=15)
"""How often an order is asked about that is about to expire, and one whose payment is pending."""

MOST, SECONDS = 50, 20.0
"""How many orders are asked about at once, and how long at most; the next time it goes on."""

KEPT = timedelta(days=30)


def ask(payment_ids: Iterable[UUID]) -> int:
    """Ask about each of these payments of an order whose provider can be asked; answers how many events were recorded.

    What is told and refused is logged, and keeps none of the others back. Raises `ProviderUnavailable`.
    """
    return sum(_ask_about(payment, provider) for payment, provider in _askable(payment_ids))


def ask_overdue() -> int:
    """Ask about the orders of which a report may be late, those that expire first before the others; answers how many
    were asked about. While a provider can't be reached nothing more is asked.
    """
    remote = [name for name, each in registry.installed().items() if each.remote]
    if not remote or identity.is_fenced():
        return 0
    now, until, asked = timezone.now(), time.monotonic() + SECONDS, 0
    for row in _overdue(remote, now)[:MOST]:
        if time.monotonic() > until:
            break
        if not _claim(row, now):
            continue
        asked += 1
        try:
            ask([UUID(payment["id"]) for payment in row.payments if not payment["reference"]])
        except ProviderUnavailable:
            break
    Inquiry.objects.filter(asked_at__lt=now - KEPT).delete()
    return asked


def _overdue(remote: list[str], now: datetime) -> QuerySet[OrderSummary]:
    """The newest payment is by a provider that can be asked: that of the site, where an order names none."""
    providers = [*remote, *([""] if settings.PAYMENT_PROVIDER in remote else [])]
    owing = OrderSummary.objects.filter(due__gt=0, provider__in=providers)
    expiring = Q(expires_at__range=(now - AFTER, now + BEFORE)) & ~_asked_since(now - SOON)
    pending = Q(payment_status="pending") & ~_asked_since(now - LATER)
    return owing.filter(expiring | pending).order_by("expires_at")


def _asked_since(moment: datetime) -> Q:
    return Q(Exists(Inquiry.objects.filter(order_id=OuterRef("pk"), asked_at__gt=moment)))


def _claim(row: OrderSummary, now: datetime) -> bool:
    """Whether it is ours to ask, where two ask at once."""
    inquiry, made = Inquiry.objects.get_or_create(order_id=row.pk, defaults={"asked_at": now})
    return made or bool(Inquiry.objects.filter(pk=row.pk, asked_at=inquiry.asked_at).update(asked_at=now))


def _askable(payment_ids: Iterable[UUID]) -> list[tuple[UUID, Provider]]:
    payments = (repository.get(Payment, payment_id) for payment_id in payment_ids)
    found = [(payment.id, registry.provider(payment.provider)) for payment in payments]
    return [(payment_id, provider) for payment_id, provider in found if provider is not None and provider.remote]


def _ask_about(payment_id: UUID, provider: Provider) -> int:
    try:
        reports = provider.look_up(payment_id)
    except Exception as error:
        log.warning("payment_not_looked_up", provider=provider.name, payment_id=str(payment_id), error=describe(error))
        raise ProviderUnavailable(ProviderUnavailable.__doc__) from error
    recorded = 0
    for report in reports:
        try:
            receipt = record_any(provider.name, report)
        except DomainError as refusal:
            log.warning("payment_report_refused", provider=provider.name, report=report.id, code=refusal.code)
        else:
            recorded += len(receipt.recorded) if receipt and not receipt.repeated else 0
    return recorded
