"""What a process does before its first request or task."""

import structlog
from django.conf import settings
from django.db import DatabaseError, connections

from eventstore.error_texts import describe

log = structlog.get_logger(__name__)


def limit_statements() -> None:
    """For the site: no statement of a request waits for a lock, or takes, longer than the settings say, unless it has a
    bound of its own. What workers and commands do may take its time.
    """
    limits = (
        f"-c lock_timeout={settings.SITE_LOCK_TIMEOUT_SECONDS}s",
        f"-c statement_timeout={settings.SITE_STATEMENT_TIMEOUT_SECONDS}s",
    )
    for database in connections.settings.values():
        options = database["OPTIONS"]
        options["options"] = " ".join((options.get("options", ""), *limits)).strip()


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
