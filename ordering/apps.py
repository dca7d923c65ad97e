from django.apps import AppConfig


class OrderingConfig(AppConfig):
    name = "ordering"
    verbose_name = "Box office"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore.browsing import chain
        from eventstore.monitoring import samples
        from eventstore.monitoring.health import sources
        from ordering import checks, consequences, queries, registry  # noqa: F401 - they register what they declare
        from ordering.findings import ADVICE
        from ordering.processes import descriptions  # noqa: F401 - the same

        samples.register(orders=queries.ORDERS_FIGURE, mails=queries.MAILS_FIGURE)
        sources.register_findings(**ADVICE)
        chain.sources.register(consequences.orders, "ordering.view_ordersummary")
