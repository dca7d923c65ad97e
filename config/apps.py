from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class ProjectConfig(AppConfig):
    """Makes Celery's application the current one wherever Django is set up, and nowhere else: what starts the servers
    does without both.
    """

    name = "config"

    def ready(self) -> None:
        from config import celery, groups  # noqa: F401 - Celery's application becomes the current one

        # The permissions of all apps are there once those of the last one are.
        post_migrate.connect(groups.on_migrated, sender=apps.get_app_config("ordering"))
