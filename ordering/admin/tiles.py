"""The tiles of the front page: a figure of now, and the last hour as a small chart."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.urls import reverse
from django.utils.safestring import SafeString

from eventstore.admin.sparkline import sparkline
from eventstore.monitoring.health import duration
from eventstore.monitoring.samples import Sample, by_minute, last_hour
from ordering.admin.problems import Look


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """What it is of, the figure of now with its unit, what else there is to say, and a chart."""

    title: str
    figure: str
    unit: str
    note: str
    is_bad: bool = False
    url: str
    chart: SafeString


def tiles(seen: Look, user: Any) -> list[Tile]:
    """Those that this person may see."""
    found = by_minute(last_hour(), datetime.now(UTC))
    return [tile for permission, tile in _tiles(seen, found) if user.has_perm(permission)]


def _tiles(seen: Look, samples: Sequence[Sample | None]) -> Iterator[tuple[str, Tile]]:
    orders, events, mails = (
        _series(samples, lambda each: _a_minute(each, each.figures.get("orders", 0))),
        _series(samples, lambda each: _a_minute(each, each.events)),
        _series(samples, lambda each: _a_minute(each, each.figures.get("mails", 0))),
    )
    yield "ordering.view_ordersummary", _rate("Orders", orders, reverse("admin:ordering_ordersummary_changelist"))
    log = f"{seen.log.head:,} in all" + (f", the last {seen.log.last_ago} ago" if seen.log.head else "")
    if seen.log.horizon < seen.log.head:
        log += f"; final up to {seen.log.horizon:,}"
    url = reverse("admin:eventstore_storedevent_changelist")
    yield "eventstore.view_storedevent", _rate("Events", events, url, note=log)
    yield "eventstore.view_subscriberrow", _lag(seen, samples)
    yield "eventstore.view_incident", _failures(seen, samples)
    yield "sagas.view_delivery", _rate("Mails", mails, reverse("admin:sagas_delivery_changelist"))


def _lag(seen: Look, samples: Sequence[Sample | None]) -> Tile:
    slowest = max(seen.subscribers, key=lambda each: each.lag_seconds, default=None)
    now = slowest.lag_seconds if slowest else 0.0
    values = _series(samples, lambda each: each.figures.get("lag", 0.0))
    worst = max((each for each in values if each is not None), default=0.0)
    return Tile(
        title="Worst lag",
        figure=duration(now),
        unit="",
        note=f"{slowest.name} is the slowest" if slowest and now >= 1 else "everybody is up with the log",
        url=reverse("admin:eventstore_subscriberrow_changelist"),
        chart=sparkline(values, f"Worst lag in the last hour: at most {duration(worst)}"),
    )


def _failures(seen: Look, samples: Sequence[Sample | None]) -> Tile:
    parked = sum(each.failed for each in seen.subscribers)
    stuck = seen.processes.commands_parked
    failed = seen.processes.deliveries_failed + seen.processes.deliveries_in_doubt
    values = _series(samples, lambda each: sum(each.figures.get(name, 0) for name in ("parked", "stuck", "failed")))
    refused = sum(each.figures.get("refused", 0) for each in samples if each)
    note = (
        f"parked events: {parked:,}, commands: {stuck:,}, mails and effects: {failed:,};"
        f" refused in the last hour: {refused:,.0f}"
    )
    most = max((each for each in values if each is not None), default=0)
    return Tile(
        title="Failures",
        figure=f"{parked + stuck + failed:,}",
        unit="open",
        note=note,
        is_bad=bool(parked + stuck + failed),
        url=reverse("problems"),
        chart=sparkline(values, f"Failures in the last hour: at most {most:,.0f} at a time"),
    )


def _rate(title: str, values: Sequence[float | None], url: str, *, note: str = "") -> Tile:
    known = [each for each in values if each is not None]
    total, most = sum(known), max(known, default=0.0)
    return Tile(
        title=title,
        figure=_short(known[-1]) if known else "–",
        unit="a minute",
        note=note or f"{_short(total)} in the last hour",
        url=url,
        chart=sparkline(values, f"{title} a minute in the last hour: {_short(total)} in all, at most {_short(most)}"),
    )


def _series(samples: Sequence[Sample | None], figure: Callable[[Sample], float]) -> list[float | None]:
    return [None if each is None else figure(each) for each in samples]


def _a_minute(sample: Sample, number: float) -> float:
    """Of what came since the sample before."""
    return number * 60 / max(sample.seconds, 60.0)


def _short(number: float) -> str:
    return f"{number:,.1f}" if 0 < number < 10 and number != int(number) else f"{number:,.0f}"
