from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Makes Celery's application the current one wherever Django is set up, and nowhere else: what starts the servers
    does without both.
    """

    name = "config"

    def ready(self) -> None:
        from config import celery  # noqa: F401 - it becomes the current one
