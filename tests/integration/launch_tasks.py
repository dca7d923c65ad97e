"""What the worker of `test_launch_queue` does."""

import os
import time
from pathlib import Path

from celery import shared_task


@shared_task(name="tests.note")
def note(text: str, seconds: float = 0) -> None:
    """Writes a line into the file NOTES, after a while."""
    time.sleep(seconds)
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{text}\n")
