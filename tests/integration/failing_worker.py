"""A worker whose main process fails when its broker goes away, as `config.background` runs it."""

import sys
import time
from typing import Any

import pytest
from celery.worker.consumer.consumer import Consumer

from config import background
from config.celery import app


def fail(consumer: Consumer, error: Exception) -> None:
    raise AttributeError("what a library did once")


@app.task(name="tests.forever")
def forever() -> None:
    sys.stdout.write("it goes on for ever\n")
    sys.stdout.flush()
    time.sleep(600)


def main() -> Any:
    sys.argv = ["background", "worker", "--queues=live", "--name=failing"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background, "GRACE", 1.0)
        patch.setattr(Consumer, "on_connection_error_after_connected", fail)
        return background.main()


if __name__ == "__main__":
    sys.exit(main())
