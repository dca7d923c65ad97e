from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    name = "projections"
    verbose_name = "Projections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import watch
        from projections import checks, control, panels  # noqa: F401 - they register what they declare

        watch.register(
            panels.troubles,
            rebuild="Mend the code and rebuild again. The live table was not touched.",
            verify="Verify it again; what it was compared with had changed meanwhile, or can't be folded.",
            differs="See which rows on the page of the projections, and apply the differences or rebuild.",
        )
