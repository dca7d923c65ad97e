"""What a process does before its first request or task."""

import structlog
from django.db import DatabaseError, connections

from eventstore.error_texts import describe

log = structlog.get_logger(__name__)


def prepare_to_append() -> None:
    """Make the rows of the subscribers, so that none misses the event it was deployed for.

    A database that is away or not migrated is no reason not to start: the rows are made before the first append anyway.
    """
    from eventstore.subscriptions.registry import registry

    try:
        registry.make_rows()
    except DatabaseError as error:
        log.warning("subscribers_not_ready", error=describe(error))
    finally:
        connections.close_all()
