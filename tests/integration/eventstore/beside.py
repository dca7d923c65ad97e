"""Something that goes on in a thread of its own, with connections of its own, while a test does something else."""

import threading
from collections.abc import Callable

from django.db import connections


class Beside(threading.Thread):
    """Begins at once; `outcome` waits for its end."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self._error = error
        finally:
            connections.close_all()

    def outcome(self, seconds: float = 30) -> Exception | None:
        """What it raised."""
        self.join(seconds)
        assert not self.is_alive(), f"not within {seconds} s"
        return self._error
