from django.apps import AppConfig

KEEP_TIME = 0.2
"""Seconds by which a timer may be late because nobody looked."""


class SagasConfig(AppConfig):
    name = "sagas"
    verbose_name = "Sagas and effects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from eventstore import commands, patrol, presence, signals, watch
        from sagas import checks, control, delivery, panels, tasks, waiting  # noqa: F401 - they register what they declare
        from sagas.dispatch import settle

        commands.settle_with(settle)
        signals.moved.connect(waiting.hear)
        patrol.register(tasks.keep_time, every=KEEP_TIME)
        patrol.register(tasks.look, every=1.0)
        presence.expect(lambda: {effect.queue for effect in delivery.effects_here() if effect.queue})
        watch.register(panels.troubles, **panels.ADVICE)
