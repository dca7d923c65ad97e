"""A stream, version by version: the state after each event, and what each of them changed."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import repository, store
from eventstore.aggregates import Aggregate
from eventstore.codec import Recorded
from eventstore.commands import routes
from eventstore.error_texts import describe

PAGE = 25
"""Versions that are told at a time."""

FOLDED = 5_000
"""Events that are folded, at most, to tell a state."""

CHANGES = 12
"""Changes that are told of one event."""

LARGE = 2_000
"""Entries in the lists and tables of a state, above which it is told of the asked version alone what changed."""

LONGEST = 160
"""Characters that are told of a value; of a list or a table that is longer, how many entries it has."""


class Change(NamedTuple):
    """A field of the state, by its path, with what it was and what it is; empty where it was not there."""

    path: str
    before: str
    after: str


class Step(NamedTuple):
    """An event of the stream, what it changed, and how many more changes there are."""

    recorded: Recorded
    changes: Sequence[Change]
    more: int


class Moment(NamedTuple):
    """A stream as it was at a `version`, with the `steps` of the versions next to it; `first` to `upto` are those, of
    `last` that there are. `state` is None where it isn't told, and `why` says why not. Of a `large` one only the step
    of the version has changes.
    """

    stream_id: UUID
    category: str
    version: int
    last: int
    first: int
    upto: int
    steps: Sequence[Step]
    state: dict[str, Any] | None
    why: str
    large: bool

    @property
    def step(self) -> Step:
        """That of the version itself."""
        return self.steps[self.version - self.first]


def moment(stream_id: UUID, version: int | None = None, *, using: str = DEFAULT_DB_ALIAS) -> Moment | None:
    """The stream at a version, else at its last; None where there is no such stream. Five statements, and no more
    events than `FOLDED`.
    """
    last = store.version_of(stream_id, using=using)
    if not last:
        return None
    version = min(max(1, last if version is None else version), last)
    first = (version - 1) // PAGE * PAGE + 1
    events = store.read_stream_part(stream_id, first - 1, PAGE, using=using)
    states, why = _states(stream_id, events, version, using)
    return Moment(
        stream_id=stream_id,
        category=events[0].category,
        version=version,
        last=last,
        first=first,
        upto=events[-1].version,
        steps=list(_steps(events, states)),
        state=states.get(version),
        why="" if version in states else why,
        large=any(map(_is_large, states.values())),
    )


def _states(
    stream_id: UUID, events: Sequence[Recorded], version: int, using: str
) -> tuple[dict[int, dict[str, Any]], str]:
    """The state before these events and after each, by version, as far as it can be told; and why no further. Of a
    large one those that tell what a version changed.
    """
    first = events[0].version
    kind = next((kind for kind in routes.aggregates if kind.category == events[0].category), None)
    if kind is None:
        return {}, "No aggregate of this code has such streams."
    try:
        begun = repository.get_version(kind, stream_id, first - 1, most=FOLDED, using=using)
    except Exception as error:
        return {}, f"The events before can't be folded: {describe(error)}"
    if begun is None:
        return {}, f"More than {FOLDED:,} events would have to be folded: that is not done here."
    aggregate, seen = begun
    states = {first - 1: _state(aggregate)}
    for each in events:
        try:
            aggregate = repository.evolve(aggregate, [seen, each] if seen else [each], using=using)
        except Exception as error:
            return states, f"Version {each.version:,} can't be folded: {describe(error)}"
        seen = each
        if each.version in {version - 1, version} or not _is_large(states[max(states)]):
            states[each.version] = _state(aggregate)
    return states, ""


def _state(aggregate: Aggregate) -> dict[str, Any]:
    """As JSON has it, in the order in which it is declared; before the first event it need not have all of it."""
    names = repository.shape(type(aggregate)).state
    told = {name: getattr(aggregate, name) for name in names if hasattr(aggregate, name)}
    plain: dict[str, Any] = msgspec.to_builtins(told, str_keys=True, order="deterministic", enc_hook=str)
    return {name: plain[name] for name in told}


def _is_large(state: dict[str, Any]) -> bool:
    return sum(len(value) for value in state.values() if isinstance(value, dict | list)) > LARGE


def _steps(events: Sequence[Recorded], states: dict[int, dict[str, Any]]) -> Iterator[Step]:
    for each in events:
        before, after = states.get(each.version - 1), states.get(each.version)
        found = list(differences(before, after)) if before is not None and after is not None else []
        yield Step(each, found[:CHANGES], max(0, len(found) - CHANGES))


def differences(before: dict[str, Any], after: dict[str, Any], path: str = "") -> Iterator[Change]:
    """What is another in the second state, field by field and within tables."""
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if name in before and name in after and was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            yield from differences(was, now, f"{path}{name}.")
        else:
            yield Change(f"{path}{name}", _text(was) if name in before else "", _text(now) if name in after else "")


def brief(state: dict[str, Any]) -> dict[str, Any]:
    """A state to be read: of long values only how long they are."""
    return {name: _text(value) if _is_long(value) else value for name, value in state.items()}


def _is_long(value: Any) -> bool:
    return (isinstance(value, dict | list) and len(value) > LONGEST) or len(json.dumps(value)) > 20 * LONGEST


def _text(value: Any) -> str:
    if isinstance(value, dict | list) and len(value) > LONGEST:
        return f"{len(value):,} entries"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    if len(text) <= LONGEST:
        return text
    return f"{len(value):,} entries" if isinstance(value, dict | list) else f"{text[:LONGEST]}…"
