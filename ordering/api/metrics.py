"""How the log and those who follow it are, as Prometheus reads it. Looks only at what is unfinished."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, QuerySet
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from eventstore import store
from eventstore.models import ParkedEvent, SubscriberRow
from sagas.models import Delivery, Outgoing, Timer

MEDIA_TYPE = CONTENT_TYPE_LATEST
UNFINISHED = {"pending", "parked"}


def text() -> bytes:
    """Everything, measured now."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (Log(), Subscribers(), Work()):
        registry.register(collector)
    return generate_latest(registry)


class Log(Collector):
    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("boxoffice_log_head", "The last position handed out.", store.head())
        yield GaugeMetricFamily("boxoffice_log_horizon", "The position up to which the log is final.", store.horizon())


class Subscribers(Collector):
    """Each projection, saga and effect."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        labels = ["subscriber"]
        checkpoint = GaugeMetricFamily("boxoffice_subscriber_checkpoint", "The position it has got to.", labels=labels)
        lag = GaugeMetricFamily("boxoffice_subscriber_lag", "Positions between it and the horizon.", labels=labels)
        status = GaugeMetricFamily("boxoffice_subscriber_status", "1 for what it is.", labels=[*labels, "status"])
        processed = CounterMetricFamily("boxoffice_subscriber_processed", "Events applied.", labels=labels)
        parked = GaugeMetricFamily("boxoffice_subscriber_parked", "Events waiting for staff.", labels=labels)
        horizon = store.horizon()
        waiting = dict(ParkedEvent.objects.values_list("subscriber").annotate(Count("pk")))
        for row in SubscriberRow.objects.all():
            checkpoint.add_metric([row.name], row.checkpoint)
            lag.add_metric([row.name], max(0, horizon - row.checkpoint))
            for each in SubscriberRow.Status:
                status.add_metric([row.name, each], row.status == each)
            processed.add_metric([row.name], row.processed)
            parked.add_metric([row.name], waiting.get(row.name, 0))
        yield from (checkpoint, lag, status, processed, parked)


class Work(Collector):
    """What sagas and effects have yet to do."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        outgoing = GaugeMetricFamily("boxoffice_outgoing", "Commands of sagas, not sent yet.", labels=["status"])
        counted = _by_status(Outgoing.objects.filter(status__in=UNFINISHED))
        for each in sorted(UNFINISHED):
            outgoing.add_metric([each], counted.get(each, 0))
        deliveries = GaugeMetricFamily("boxoffice_deliveries", "Side effects, not done yet.", labels=["status"])
        counted = _by_status(Delivery.objects.exclude(status=Delivery.Status.DONE))
        for status in Delivery.Status:
            if status != Delivery.Status.DONE:
                deliveries.add_metric([status], counted.get(status, 0))
        waiting = Timer.objects.filter(status=Timer.Status.WAITING).count()
        yield from (outgoing, deliveries, GaugeMetricFamily("boxoffice_timers_waiting", "Timers set.", waiting))


def _by_status(rows: QuerySet[Any]) -> dict[str, int]:
    return dict(rows.values_list("status").annotate(Count("pk")))
