"""How the log and those who follow it are, as Prometheus reads it. Looks only at what is unfinished."""

from collections.abc import Iterable
from typing import Any, get_args

from django.db.models import Count, QuerySet
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from eventstore import identity, store
from eventstore.models import Incident, SubscriberRow, WorkerHeartbeat
from eventstore.monitoring.consumers import consumer_statuses
from eventstore.monitoring.status import SubscriberStatus, subscriber_statuses
from eventstore.monitoring.workers import worker_statuses
from eventstore.subscriptions import gaps
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.webhooks.monitoring import State, endpoint_statuses

MEDIA_TYPE = CONTENT_TYPE_LATEST
UNRESOLVED = {"pending", "parked", "unanswered"}


def text() -> bytes:
    """Everything, measured now."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (Log(), Subscribers(), Consumers(), Work(), Webhooks(), Monitoring()):
        registry.register(collector)
    return generate_latest(registry)


class Log(Collector):
    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("boxoffice_log_head", "The last position handed out.", store.head())
        yield GaugeMetricFamily("boxoffice_log_horizon", "The position up to which the log is final.", store.horizon())
        fenced = identity.is_fenced()
        yield GaugeMetricFamily("boxoffice_log_fenced", "1 in a copy, from which nothing is sent.", float(fenced))


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
        parked = GaugeMetricFamily(
            "boxoffice_subscriber_parked", "Events that failed, and those behind them.", labels=[*labels, "waits"]
        )
        warnings = GaugeMetricFamily("boxoffice_subscriber_warnings", "Remarks of its handlers.", labels=labels)
        missing = GaugeMetricFamily("boxoffice_subscriber_gap", "Events missing.", labels=[*labels, "why"])
        horizon = store.horizon()
        for row in subscriber_statuses():
            checkpoint.add_metric([row.name], row.checkpoint)
            lag.add_metric([row.name], max(0, horizon - row.checkpoint))
            for each in SubscriberRow.Status:
                status.add_metric([row.name, each], row.status == each)
            processed.add_metric([row.name], row.processed)
            for waits, events in (("attention", row.needs_attention), ("retry", row.retrying), ("behind", row.behind)):
                parked.add_metric([row.name, waits], events)
            warnings.add_metric([row.name], row.warnings)
            for why, events in _missing(row).items():
                missing.add_metric([row.name, why], events)
        yield from (checkpoint, lag, status, processed, parked, warnings, missing)


class Consumers(Collector):
    """Those in other systems that have reported where they are in this log."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        lag = GaugeMetricFamily("boxoffice_consumer_lag", "Positions between it and the horizon.", labels=["consumer"])
        for each in consumer_statuses():
            if each.of_this_log:
                lag.add_metric([each.name], each.lag)
        yield lag


class Work(Collector):
    """What sagas and effects have yet to do."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        outgoing = GaugeMetricFamily(
            "boxoffice_outbox_commands", "Commands of sagas, not through yet.", labels=["status"]
        )
        counted = _by_status(OutboxCommand.objects.filter(status__in=UNRESOLVED))
        for each in sorted(UNRESOLVED):
            outgoing.add_metric([each], counted.get(each, 0))
        deliveries = GaugeMetricFamily("boxoffice_deliveries", "Side effects, not done yet.", labels=["status"])
        counted = _by_status(Delivery.objects.exclude(status=Delivery.Status.DONE))
        for status in Delivery.Status:
            if status != Delivery.Status.DONE:
                deliveries.add_metric([status], counted.get(status, 0))
        waiting = Timer.objects.filter(status=Timer.Status.WAITING).count()
        yield from (outgoing, deliveries, GaugeMetricFamily("boxoffice_timers_waiting", "Timers set.", waiting))


class Webhooks(Collector):
    """The other systems that are told of events."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        labels = ["endpoint"]
        pending = GaugeMetricFamily("boxoffice_webhook_deliveries_pending", "Not delivered yet.", labels=labels)
        oldest = GaugeMetricFamily(
            "boxoffice_webhook_oldest_pending_age_seconds", "Of the oldest that is not delivered yet.", labels=labels
        )
        state = GaugeMetricFamily("boxoffice_webhook_endpoint_state", "1 for what it is.", labels=[*labels, "state"])
        for each in endpoint_statuses():
            pending.add_metric([str(each.id)], each.waiting)
            oldest.add_metric([str(each.id)], each.oldest)
            for name in get_args(State):
                state.add_metric([str(each.id), name], each.state == name)
        yield from (pending, oldest, state)


class Monitoring(Collector):
    """The workers, and what staff have been told of."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        said = "Seconds since it said that it works."
        workers = GaugeMetricFamily("boxoffice_worker_heartbeat_age_seconds", said, labels=["worker", "queues"])
        beats = GaugeMetricFamily("boxoffice_beat_heartbeat_age_seconds", said, labels=["beat"])
        skew = GaugeMetricFamily("boxoffice_clock_skew_seconds", "Ahead of the database's clock.", labels=["process"])
        for each in worker_statuses():
            if each.skew is not None:
                skew.add_metric([each.name], each.skew)
            if each.kind == WorkerHeartbeat.Kind.WORKER:
                workers.add_metric([each.name, ",".join(each.queues)], each.age)
            elif each.kind == WorkerHeartbeat.Kind.BEAT:
                beats.add_metric([each.name], each.age)
        incidents = GaugeMetricFamily("boxoffice_incidents", "Health issues that last.", labels=["kind"])
        lasting = Incident.objects.filter(ended_at=None, raised_at__isnull=False).order_by()
        for kind, number in lasting.values_list("kind").annotate(Count("pk")):
            incidents.add_metric([kind], number)
        yield from (workers, beats, skew, incidents)


def _missing(row: SubscriberStatus) -> dict[str, int]:
    """Events by why they are missing, each counted no further than panels count. Of a subscriber that this code doesn't
    know only those can be told that are parked.
    """
    parked = {"parked": row.failed + row.behind}
    return parked if row.unknown else {**parked, "pending": row.pending, "skipped": gaps.skipped(row.name).count}


def _by_status(rows: QuerySet[Any]) -> dict[str, int]:
    return dict(rows.values_list("status").annotate(Count("pk")))
