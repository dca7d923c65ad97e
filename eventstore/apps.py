from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EventstoreConfig(AppConfig):
    name = "eventstore"
    verbose_name = "Event store"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import checks, control  # noqa: F401 - they register what they declare
        from eventstore.roles import grant_to_application

        post_migrate.connect(grant_to_application, sender=self)
