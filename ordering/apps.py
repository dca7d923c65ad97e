from django.apps import AppConfig


class OrderingConfig(AppConfig):
    name = "ordering"
    verbose_name = "Box office"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore.monitoring.health import sources
        from ordering import checks, registry  # noqa: F401 - they register what they declare
        from ordering.findings import ADVICE

        sources.register_findings(**ADVICE)
