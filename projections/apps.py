from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    name = "projections"
    verbose_name = "Projections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore.monitoring.health import sources
        from projections import checks, operations  # noqa: F401 - they register what they declare
        from projections.status import ADVICE, rebuild_issues

        sources.register(rebuild_issues, **ADVICE)
