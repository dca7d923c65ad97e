"""A worker with a bug: it feeds the order summaries to the end of the log, but its handlers do nothing for some events.

Started as `python -m benchmarks.faulty`, with the positions of these events as a JSON list on its input.
"""

import sys
from collections.abc import Callable, Set
from typing import Any

import django
import msgspec


def main() -> None:
    positions = frozenset(msgspec.json.decode(sys.stdin.buffer.read(), type=list[int]))
    django.setup()
    from eventstore.subscriptions import feeding
    from eventstore.subscriptions.registry import registry
    from projections.rebuild.generations import projection_named

    projection = projection_named("order-summaries")
    for stored, handler in projection.compiled.items():
        projection._fold[stored] = forgetful(handler[0], positions)
    registry.make_rows()
    feeding.catch_up([projection])


def forgetful(fold: Callable[..., Any], positions: Set[int]) -> Callable[..., Any]:
    def handle(row: Any, event: Any, meta: Any, *found: Any) -> Any:
        return None if meta.position in positions else fold(row, event, meta, *found)

    return handle


if __name__ == "__main__":
    main()
