from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class EventstoreConfig(AppConfig):
    name = "eventstore"
    verbose_name = "Event store"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import checks, handler_guard, signals, tasks  # noqa: F401 - checks register themselves
        from eventstore.imports import tasks as import_tasks  # noqa: F401 - Celery finds it then
        from eventstore.monitoring import consumers, incidents, polling
        from eventstore.monitoring.health import sources
        from eventstore.operations import (  # noqa: F401 - they register what they declare
            identity,
            retirement,
            subscribers,
        )
        from eventstore.operations import incidents as incident_operations  # noqa: F401 - the same
        from eventstore.roles import grant_to_application

        post_migrate.connect(grant_to_application, sender=self)
        connection_created.connect(handler_guard.guard_connection)
        polling.register(tasks.feed_stalled, every=1.0)
        signals.resolved.connect(incidents.on_resolved)
        sources.register(incidents.log_and_worker_issues, **incidents.ADVICE)
        sources.register(consumers.consumer_issues, **consumers.ADVICE)
