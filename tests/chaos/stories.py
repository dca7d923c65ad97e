"""The stories that instances of sagas tell, judged in plain Python by the log, by commands and by timers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from eventstore.models import StoredEvent
from sagas.models import Instance, OutboxCommand, Timer, Transition
from sagas.saga import Saga


class Story(NamedTuple):
    """An instance and all that belongs to it, each in its order; `heard` are the events that concern it."""

    instance: Instance
    told: list[Transition]
    heard: list[StoredEvent]
    sent: list[OutboxCommand]
    timers: list[Timer]


def stories(saga: Saga[Any], events: Sequence[StoredEvent]) -> list[Story]:
    """Those of all instances of a saga."""
    told, heard, sent, timers = (defaultdict[str, list[Any]](list) for _ in range(4))
    for kind, rows, order in ((Transition, told, "position"), (OutboxCommand, sent, "id"), (Timer, timers, "id")):
        for row in kind.objects.filter(saga=saga.name).order_by(order):
            rows[row.key].append(row)
    for event in events:
        handler = saga.handlers.get(event.type)
        if handler and event.data.get("saga", saga.name) == saga.name:
            heard[event.data[handler.key]].append(event)
    return [
        Story(instance, told[instance.key], heard[instance.key], sent[instance.key], timers[instance.key])
        for instance in Instance.objects.filter(saga=saga.name)
    ]


def contradictions(story: Story) -> Iterator[str]:
    """Where the state of an instance, its commands and its timers are not what its story leads to."""
    steps = [step for sentence in story.told for step in sentence.steps]
    promised = [UUID(step["command_id"]) for step in steps if step["step"] == "send"]
    armed = {UUID(step["command_id"]): step["timer"] for step in steps if step["step"] == "timer"}
    cancelled = {step["timer"] for step in steps if step["step"] == "cancel"}
    ends = {step["timer"]: step["step"] for step in steps if step["step"] in ("timer", "cancel")}
    fired = [timer.command_id for timer in story.timers if timer.status == "fired"]
    sent = [command.command_id for command in story.sent]
    # What a timer fires while the instance reacts may get its number first and be seen later: no order lies between.
    decided = [command.result for command in story.sent if command.result and command.command_id not in fired]
    last = story.told[-1]
    concerned = [event.position for event in story.heard if not last.ended or event.position <= last.position]
    now = (story.instance.state, story.instance.ended, story.instance.position, story.instance.version)
    wrong = {
        "has heard of other events than concern it": [sentence.position for sentence in story.told] != concerned,
        "is not where its story ends": now != (last.state, last.ended, last.position, last.version),
        "has ended without saying so": last.ended != any(step["step"] == "end" for step in steps),
        "sent other commands, or in another order": [each for each in sent if each not in fired] != promised,
        "has lost what a timer was to send": not set(fired) <= set(sent),
        "did not send one after the other": decided != sorted(decided),
        "set other timers": {timer.command_id for timer in story.timers} != armed.keys(),
        "waits for a timer that it cancelled": any(
            timer.status == "waiting" and ends.get(timer.name) == "cancel" for timer in story.timers
        ),
        "lost a timer": any(timer.status == "cancelled" and timer.name not in cancelled for timer in story.timers),
    }
    yield from (f"{story.instance} {what}" for what, is_so in wrong.items() if is_so)
