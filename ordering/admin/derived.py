"""The rows that are folded from the events of an order, a customer or a conference: which of them don't show all that
has happened yet, and what holds them up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import admin
from django.db.models import TextField, Value
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from eventstore import store
from eventstore.admin.row_actions import RowAction, row_action
from eventstore.codec import Recorded
from eventstore.models import ParkedEvent, StoredEvent, SubscriberRow
from eventstore.subscriptions import gaps, hash_ranges, parking
from eventstore.subscriptions.registry import registry
from projections.models import ReadModel
from projections.operations import RebuildKey
from projections.projection import Projection

NEWEST = 200
"""Events of a stream that are looked at: one that is longer has older ones, which were applied or are parked."""

SAID = 3
"""Events that a row doesn't show yet, of all that are counted, that are put into words."""

MOST_ROWS = 500
"""Rows of a read model that are looked for."""

PARKED_KEYS = 500
"""Rows whose parked events are looked for."""


class DerivedRow(NamedTuple):
    """A row of a read model, with the events that were seen to concern it, in the order of the log. `late` are those
    that it doesn't show; `failed` is the event that holds it up, if one does. `status` is that of its subscriber. The
    row `is_there`, unless it has not come yet, or events have removed it.
    """

    projection: Projection[Any]
    key: str
    events: Sequence[Recorded]
    late: Sequence[Recorded]
    failed: ParkedEvent | None
    status: str
    is_there: bool = False

    @property
    def is_current(self) -> bool:
        return not self.late and self.failed is None

    @property
    def state(self) -> str:
        """One word, for a badge."""
        return "failed" if self.failed else "behind" if self.late else "up to date"

    @property
    def is_stopped(self) -> bool:
        """Whether its subscriber goes on only when somebody tells it to."""
        return self.status in (SubscriberRow.Status.PAUSED, SubscriberRow.Status.HALTED)


class ReadModelRows(NamedTuple):
    """What a read model has of all this: how many rows, and the one that is told of, which is the worst."""

    name: str
    rows: int
    row: DerivedRow
    url: str
    offers: Sequence[RowAction]


def projection_of(model: type[ReadModel]) -> Projection[Any]:
    """The projection that folds the rows of a model."""
    return next(each for each in registry if isinstance(each, Projection) and each.model is model)


def newest(stream_id: UUID) -> list[Recorded]:
    """The last events of a stream, in the order of the log. Raises `UnknownHere`."""
    found = StoredEvent.objects.filter(stream_id=stream_id).order_by("-version").values_list("position", flat=True)
    return store.read_these(list(found[:NEWEST]))


def rows(events: Iterable[Recorded], projections: Iterable[Projection[Any]]) -> list[DerivedRow]:
    """The rows of these read models that the events concern. Three statements ask how each stands."""
    concerned = {each: dict(_concerned(each, list(events))) for each in projections}
    names = [each.name for each in concerned]
    shards = list(SubscriberRow.objects.filter(subscriber__in=names))
    keys = list(dict.fromkeys(key for found in concerned.values() for key in _parked_as(found)))
    parked = ParkedEvent.objects.filter(subscriber__in=names, key__in=keys[:PARKED_KEYS]).exclude(error="")
    failed = {
        (each.subscriber, each.key): each
        for each in parked.defer("traceback").order_by("subscriber", "key", "position").distinct("subscriber", "key")
    }
    there = _there(concerned)
    return [
        _stands(projection, key, of_it, shards, failed)._replace(is_there=(projection.name, key) in there)
        for projection, found in concerned.items()
        for key, of_it in found.items()
    ]


def all_rows(events: Iterable[Recorded]) -> list[DerivedRow]:
    """The rows of every read model that the events concern."""
    return rows(events, (each for each in registry if isinstance(each, Projection)))


def row_of(model: type[ReadModel], key: UUID, events: Iterable[Recorded]) -> DerivedRow:
    """The row of one read model that is about one object, as these events tell; it may not be there."""
    return among(rows(events, [projection_of(model)]), model, key)


def among(found: Iterable[DerivedRow], model: type[ReadModel], key: UUID) -> DerivedRow:
    """The row of one read model that is about one object, among others."""
    projection = projection_of(model)
    mine = (each for each in found if each.projection is projection and each.key == str(key))
    return next(mine, DerivedRow(projection, str(key), (), (), None, ""))


def by_read_model(request: HttpRequest, found: Iterable[DerivedRow], back: str) -> list[ReadModelRows]:
    """One line for each read model, with a button that rebuilds the row that is told of, for whoever may."""
    grouped: dict[str, list[DerivedRow]] = {}
    for each in found:
        grouped.setdefault(each.projection.name, []).append(each)
    return [
        ReadModelRows(name, len(each), worst, _page(request, worst) if len(each) == 1 else "", offers)
        for name, each in grouped.items()
        for worst in [max(each, key=lambda row: (row.failed is not None, len(row.late)))]
        for offers in [rebuild(request, worst, back) if len(each) == 1 or not worst.is_current else []]
    ]


def rebuild(request: HttpRequest, row: DerivedRow, back: str) -> list[RowAction]:
    """The button that rebuilds a row, for whoever may; afterwards one comes `back`. One that is only behind would stay
    as it is: it is folded as far as its read model is.
    """
    if not RebuildKey.is_allowed(request.user) or (row.late and row.failed is None):
        return []
    return [row_action("Rebuild this row", RebuildKey, row.projection.name, back=back, key=row.key)]


def warning(
    request: HttpRequest, row: DerivedRow, say: Callable[[Recorded], str], log_says: str = ""
) -> dict[str, Any]:
    """What a page says of a row that is out of date; nothing of one that is not. `say` puts an event into words,
    `log_says` is what the log makes of the whole.
    """
    if row.is_current:
        return {}
    return {
        "row": row,
        "late": [(each, say(each)) for each in row.late[:SAID]],
        "waiting": len(row.late),
        "many": len(row.late) >= NEWEST,
        "log_says": log_says,
        "offers": rebuild(request, row, request.get_full_path()),
    }


def lag(row: DerivedRow) -> tuple[int, bool]:
    """How many events its read model has still to apply, and whether there are more than are counted."""
    found = gaps.pending(row.projection.name)
    return found.count, found.more


def _concerned(projection: Projection[Any], events: Sequence[Recorded]) -> Iterator[tuple[str, list[Recorded]]]:
    """By the text of a key: the events that concern its row."""
    found: dict[str, list[Recorded]] = {}
    for recorded in events:
        if recorded.type in projection.types:
            for key in _keys(projection, recorded):
                found.setdefault(key, []).append(recorded)
    yield from found.items()


def _keys(projection: Projection[Any], recorded: Recorded) -> list[str]:
    """None of an event whose keys can't be told: it is parked under its stream."""
    try:
        return list(dict.fromkeys(map(str, projection.keys(recorded))))
    except Exception:
        return []


def _parked_as(found: Mapping[str, Sequence[Recorded]]) -> Iterator[str]:
    """What events of these keys are parked under: the key, or its streams."""
    for key, events in found.items():
        yield parking.text(key)
        yield from dict.fromkeys(map(parking.stream_key, events))


def _stands(
    projection: Projection[Any],
    key: str,
    events: Sequence[Recorded],
    shards: Iterable[SubscriberRow],
    failed: Mapping[tuple[str, str], ParkedEvent],
) -> DerivedRow:
    of_key = (each for each in shards if each.subscriber == projection.name)
    shard = next((each for each in of_key if hash_ranges.shard(each.shard, each.shards).holds(key)), None)
    places = ((projection.name, place) for place in _parked_as({key: events}))
    found = min((failed[each] for each in places if each in failed), key=lambda each: each.position, default=None)
    applied = shard.checkpoint if shard else 0
    late = [each for each in events if each.position > applied or (found and each.position >= found.position)]
    return DerivedRow(projection, key, events, late, found, shard.status if shard else "")


def _there(concerned: Mapping[Projection[Any], Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Which of these rows are there, by read model and key. One statement looks for all of them."""
    looks = [
        projection.model._default_manager.filter(pk__in=list(keys)[:MOST_ROWS])
        .order_by()
        .annotate(of=Value(projection.name, output_field=TextField()), text=Cast("pk", TextField()))
        .values_list("of", "text")
        for projection, keys in concerned.items()
        if keys
    ]
    return set(looks[0].union(*looks[1:], all=True)) if looks else set()


def _page(request: HttpRequest, row: DerivedRow) -> str:
    """Where the admin shows it; empty where it doesn't, or not to this user."""
    meta = row.projection.model._meta
    if not row.is_there or not admin.site.is_registered(row.projection.model):
        return ""
    if not request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"):
        return ""
    try:
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.key])
    except NoReverseMatch:
        return ""
