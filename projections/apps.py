from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    name = "projections"
    verbose_name = "Projections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import signals
        from eventstore.monitoring.health import sources
        from projections import checks, operations  # noqa: F401 - checks register themselves
        from projections.status import ADVICE, rebuild_issues

        signals.retired.connect(operations.on_retired)
        sources.register(rebuild_issues, **ADVICE)
