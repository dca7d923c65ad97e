"""What the clock calls for."""

from celery import shared_task

from eventstore import doorbell
from eventstore.imports.tasks import tick as imports_tick
from eventstore.tasks import tick as log_tick
from eventstore.transient_errors import OUTAGES
from projections.tasks import tick as projections_tick
from sagas.tasks import tick as sagas_tick

TICKS = (log_tick, imports_tick, projections_tick, sagas_tick)


@shared_task(base=doorbell.Tick, name="config.tasks.tick")
def tick() -> None:
    """The ticks of all apps, in one message every second. One that fails keeps no other from its work."""
    errors = []
    for each in TICKS:
        try:
            each.run()
        except Exception as error:
            errors.append(error)
    if errors and all(isinstance(error, OUTAGES) for error in errors):
        raise errors[0]
    if errors:
        raise ExceptionGroup("Ticks failed.", errors)
