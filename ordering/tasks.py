"""What the clock calls for in the business."""

from celery import shared_task

from eventstore import doorbell


@shared_task(base=doorbell.Tick, name="ordering.tasks.ask_providers")
def ask_providers() -> None:
    """Ask payment providers about orders of which a report may be late."""
    from ordering.providers import inquiries

    inquiries.ask_overdue()


@shared_task(base=doorbell.Tick, name="ordering.tasks.forget_keyed_calls")
def forget_keyed_calls() -> None:
    """Forget the calls that have had a key for as long as they can be repeated."""
    from ordering.api import idempotency

    idempotency.forget()
