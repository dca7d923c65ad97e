"""What the worker of `test_launch_queue` does."""

import os
import time
from pathlib import Path

from celery import shared_task


@shared_task(name="tests.note")
def note(text: str, seconds: float = 0) -> None:
    """Writes a line into the file NOTES when it begins, and another after a while."""
    _write(f"{text}-begun")
    time.sleep(seconds)
    _write(text)


def _write(line: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{line}\n")
