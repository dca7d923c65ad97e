"""Dying at a line of the log: `arm` has this process killed, as by a failing machine, when production says that line.

The environment says where, see `Death.environment`. One process dies, and none after it, however often the line comes.
"""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import structlog
from structlog.typing import EventDict


class Death(NamedTuple):
    """Where a process dies: at the n-th line of the log, as it counts them, that has this event and these fields.

    It takes all of its group with it, or, `alone`, leaves the main process of its worker to find out.
    """

    event: str
    fields: str = ""
    nth: int = 1
    alone: bool = False

    def __str__(self) -> str:
        words = [self.event, self.fields, f"no. {self.nth}" if self.nth > 1 else "", "alone" if self.alone else ""]
        return " ".join(filter(None, words))

    def environment(self, trace: Path) -> dict[str, str]:
        """For the process that is to die; `trace` is a file that it leaves."""
        return {
            "DIE_AT": self.event,
            "DIE_IF": self.fields,
            "DIE_NTH": str(self.nth),
            "DIE_ALONE": str(int(self.alone)),
            "DIE_TRACE": str(trace),
        }


def arm() -> None:
    """Stand before all that filter or format lines, so that those are seen too that are too quiet to be written."""
    wanted = dict(field.split("=", 1) for field in os.environ["DIE_IF"].split(",") if field)
    event, nth, alone = os.environ["DIE_AT"], int(os.environ["DIE_NTH"]), os.environ["DIE_ALONE"] == "1"
    trace, seen = Path(os.environ["DIE_TRACE"]), Counter[int]()

    def die(logger: Any, method: str, line: EventDict) -> EventDict:
        if line["event"] == event and all(str(line.get(name)) == value for name, value in wanted.items()):
            seen[os.getpid()] += 1
            if seen[os.getpid()] >= nth and _is_first(trace):
                os.kill(os.getpid() if alone else -os.getpgrp(), signal.SIGKILL)
        return line

    # Loggers that were made before have the same list.
    structlog.get_config()["processors"].insert(0, die)


def _is_first(trace: Path) -> bool:
    with suppress(FileExistsError), trace.open("x") as left:
        left.write(str(os.getpid()))
        return True
    return False


def who_died(trace: Path) -> int | None:
    """The process that has left this trace, once it is gone; None while nobody has died."""
    if not trace.exists() or not (text := trace.read_text()):
        return None
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(int(text)).status() != psutil.STATUS_ZOMBIE:
            return None
    return int(text)
