"""What can be found of the log and of whoever follows it."""

from collections.abc import Iterator
from uuid import UUID

from django.contrib import admin
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timezone import localtime

from eventstore import store
from eventstore.admin.search import MOST, Asked, Found, finders
from eventstore.codec import Recorded, formers
from eventstore.events import catalogue
from eventstore.models import CommandRecord, ParkedEvent, StoredEvent
from eventstore.subscriptions.parking import text
from eventstore.subscriptions.registry import registry

EVENTS = "eventstore.view_storedevent"
FOUND = MOST + 1


def find_pages(asked: Asked) -> Iterator[Found]:
    """The lists of the admin that this user may see."""
    for app in admin.site.get_app_list(asked.request) if asked.is_word else []:
        for model in app["models"]:
            if model["admin_url"] and asked.names(str(model["name"])):
                yield Found(str(model["name"]), str(app["name"]), model["admin_url"])


def find_events(asked: Asked) -> Iterator[Found]:
    """By position, or by the id of the event; and those that have this id as their correlation."""
    if asked.number is not None:
        yield from _at(asked.number)
    elif asked.id is not None:
        found = store.read_traced(asked.id, limit=FOUND)
        if len(found) > 1:
            yield Found("Everything in this chain", f"correlation {asked.id}", _log(correlation_id=asked.id))
        yield from map(_event, found)


def find_streams(asked: Asked) -> Iterator[Found]:
    """By the id of a stream."""
    if asked.id is None:
        return
    last = StoredEvent.objects.filter(stream_id=asked.id).order_by("-version")
    for category, version, type_ in last.values_list("category", "version", "type")[:1]:
        events = f"{version:,} event{'s' * (version != 1)}, the last one {type_}"
        yield Found(f"{category} {asked.id}", events, _log(stream_id=asked.id))


def find_commands(asked: Asked) -> Iterator[Found]:
    """By the id of a command: what it recorded."""
    record = CommandRecord.objects.filter(pk=asked.id).first() if asked.id else None
    if record and record.first_position and record.last_position:
        events = 1 + record.last_position - record.first_position
        url = _log(q=f"{record.first_position}-{record.last_position}")
        yield Found(f"Command {asked.id}", f"recorded {events:,} event{'s' * (events != 1)}", url)


def find_types(asked: Asked) -> Iterator[Found]:
    """By the name of a type, or words of it: its page."""
    names = {event.stored for event in catalogue} | {former.name for former in formers()}
    for name in sorted(names, key=lambda name: (name != asked.text, name)):
        if asked.names(name):
            yield Found(name, "", reverse("admin:eventstore_event_type", args=[name]))


def find_subscribers(asked: Asked) -> Iterator[Found]:
    for each in registry:
        if asked.names(each.name):
            rank = each.rank.name.lower().replace("_", " ")
            yield Found(each.name, rank, reverse("admin:eventstore_subscriber", args=[each.name]))


def find_parked(asked: Asked) -> Iterator[Found]:
    """By the key that events are parked under."""
    if not asked.text:
        return
    names = [subscriber.name for subscriber in registry]
    found = ParkedEvent.objects.filter(subscriber__in=names, key=text(asked.text)).exclude(error="")
    for each in found.defer("traceback").order_by("subscriber", "position")[:FOUND]:
        url = reverse("admin:eventstore_parkedevent_change", args=[each.pk])
        yield Found(f"Event {each.position:,} of {each.subscriber}", each.error[:120], url)


def _at(position: int) -> Iterator[Found]:
    yield from map(_event, store.read_these([position]))


def _event(recorded: Recorded) -> Found:
    at = f"{localtime(recorded.recorded_at):%-d %b %Y %H:%M:%S}"
    url = reverse("admin:eventstore_storedevent_change", args=[recorded.position])
    return Found(f"{recorded.position:,} {recorded.type}", f"{recorded.category} {recorded.stream_id}, {at}", url)


def _log(**filters: str | UUID) -> str:
    asked = urlencode({name: str(value) for name, value in filters.items()})
    return f"{reverse('admin:eventstore_storedevent_changelist')}?{asked}"


finders.register("Pages", find_pages)
finders.register("Events", find_events, permission=EVENTS)
finders.register("Streams", find_streams, permission=EVENTS)
finders.register("Commands", find_commands, permission=EVENTS)
finders.register("Types of events", find_types, permission=EVENTS)
finders.register("Subscribers", find_subscribers, permission="eventstore.view_subscriberrow")
finders.register("Parked events", find_parked, permission="eventstore.view_parkedevent")
