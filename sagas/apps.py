from django.apps import AppConfig

TIMERS_EVERY = 0.5
"""Seconds by which a timer may be late that was set, for sooner than that, after somebody looked."""


class SagasConfig(AppConfig):
    name = "sagas"
    verbose_name = "Sagas and effects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import signals
        from eventstore.browsing import chain
        from eventstore.monitoring import polling, samples
        from eventstore.monitoring.health import sources
        from sagas import checks, consequences, operations, queries, tasks  # noqa: F401 - checks register themselves
        from sagas.effects import preconditions
        from sagas.status import ADVICE, process_issues
        from sagas.webhooks import monitoring as webhooks
        from sagas.webhooks import operations as webhook_operations  # noqa: F401 - operations register themselves

        signals.moved.connect(preconditions.on_caught_up)
        signals.retired.connect(operations.on_retired)
        polling.register(tasks.keep_time, every=TIMERS_EVERY)
        polling.register(tasks.send_overdue, every=1.0)
        samples.register(refused=queries.REFUSED_FIGURE, stuck=queries.STUCK_FIGURE, failed=queries.FAILED_FIGURE)
        sources.register(process_issues, **ADVICE)
        sources.register(webhooks.webhook_issues, **webhooks.ADVICE)
        chain.sources.register(consequences.heard, "sagas.view_instance")
        chain.sources.register(consequences.sent, "sagas.view_outboxcommand")
        chain.sources.register(consequences.delivered, "sagas.view_delivery")
