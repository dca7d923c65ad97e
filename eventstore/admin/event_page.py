"""The page of an event: what it says, where it is, what caused it and what it caused."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from eventstore import store
from eventstore.admin import people
from eventstore.browsing.chain import ChainEvent, Command, Consequence, More, Node, around, chain, sources
from eventstore.browsing.standing import Trouble, standings, troubles
from eventstore.models import StoredEvent

LISTS = {
    "parked": ("eventstore_parkedevent_changelist", "eventstore.view_parkedevent"),
    "discarded": ("eventstore_discardedevent_changelist", "eventstore.view_discardedevent"),
    "skipped": ("eventstore_skippedrange_changelist", "eventstore.view_skippedrange"),
    "warned": ("eventstore_handlerwarning_changelist", "eventstore.view_handlerwarning"),
}


class Line(NamedTuple):
    """A line of the tree, as it is shown."""

    depth: int
    kind: str
    text: str
    url: str = ""
    event: ChainEvent | None = None
    status: str = ""
    actor: str = ""
    here: bool = False


def shown(request: HttpRequest, event: StoredEvent) -> dict[str, Any]:
    """What the page of an event tells this user, in as many statements for any event."""
    recorded = store.read_one(event.position)
    beside = around(recorded)
    told = [
        each for source, permission in sources if request.user.has_perm(permission) for each in source(recorded, beside)
    ]
    tree = chain(recorded, beside, told)
    names = people.names({event.actor, *_actors(tree.nodes)})
    found = troubles(recorded)
    return {
        "event": event,
        "who": names[event.actor],
        "chain": tree,
        "lines": [_line(node, names) for node in tree.nodes],
        "troubles": [(each, _list_of(request, each)) for each in found],
        "standings": standings(recorded, found),
        "sees_subscribers": request.user.has_perm("eventstore.view_subscriberrow"),
    }


def _actors(nodes: Iterable[Node]) -> Iterator[str]:
    return (node.thing.actor for node in nodes if isinstance(node.thing, ChainEvent | Command))


def _line(node: Node, names: dict[str, str]) -> Line:
    depth, thing = min(node.depth, 12), node.thing
    if isinstance(thing, ChainEvent):
        url = reverse("admin:eventstore_storedevent_change", args=[thing.position])
        actor = names[thing.actor]
        return Line(depth, "event", thing.type, url=url, event=thing, actor=actor, here=node.here)
    if isinstance(thing, Consequence):
        url = reverse(f"admin:{thing.page}", args=thing.args) if thing.page else ""
        return Line(depth, "followed", thing.text, url=url, status=thing.status)
    if isinstance(thing, More):
        return Line(depth, "more", f"and {thing.left:,} more")
    return Line(depth, "command", f"command of {names[thing.actor] or 'somebody'}")


def _list_of(request: HttpRequest, trouble: Trouble) -> str:
    """Where it is listed, for whoever may see that."""
    name, permission = LISTS[trouble.kind]
    subscriber = trouble.subscriber.partition("#")[0]
    return f"{reverse(f'admin:{name}')}?subscriber={subscriber}" if request.user.has_perm(permission) else ""
