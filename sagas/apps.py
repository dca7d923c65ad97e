from django.apps import AppConfig


class SagasConfig(AppConfig):
    name = "sagas"
    verbose_name = "Sagas and effects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import commands
        from sagas import checks  # noqa: F401 - registers them
        from sagas.dispatch import settle

        commands.settle_with(settle)
