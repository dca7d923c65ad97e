"""What workers do for imports: carry on the files that were uploaded."""

from io import BytesIO
from uuid import UUID

import structlog
from celery import shared_task

from eventstore import doorbell
from eventstore.errors import Busy
from eventstore.imports import runs
from eventstore.imports.lines import FileRefused
from eventstore.models import ImportRun

log = structlog.get_logger(__name__)

LONGEST = 3.0
"""Seconds for which a process imports before others have a turn."""


@shared_task(base=doorbell.Call, name="eventstore.imports.tasks.carry_on")
def carry_on(run_id: str) -> None:
    """Import a part of a file; what is left then is rung for again."""
    run = ImportRun.objects.filter(pk=UUID(run_id), ended_at=None, content__isnull=False).first()
    if run is None or not doorbell.answer(_bell(run)):
        return
    try:
        for _ in runs.carry_on(run, BytesIO(run.content or b""), seconds=LONGEST):
            pass
    except Busy:
        return
    except FileRefused as refused:
        log.info("file_refused", run=run_id, reason=str(refused))
        return
    if ImportRun.objects.filter(pk=run.pk, ended_at=None).exists():
        ring(run)


@shared_task(base=doorbell.Tick, name="eventstore.imports.tasks.tick")
def tick() -> None:
    """Delete the imports that are kept no longer, and take up those whose worker died or whose bell was lost."""
    runs.delete_old()
    for run in ImportRun.objects.filter(ended_at=None, content__isnull=False).only("pk"):
        ring(run)


def ring(run: ImportRun) -> None:
    """Let a worker take it up."""
    doorbell.ring(_bell(run), carry_on.name, str(run.pk))


def _bell(run: ImportRun) -> str:
    return f"import {run.pk}"
