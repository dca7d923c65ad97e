"""Log lines of all processes: readable in a terminal, JSON for machines, and quiet about what happens every second."""

import re
import sys
from typing import Any

import redis
import structlog
from billiard.exceptions import WorkerLostError
from structlog.typing import EventDict, Processor

# Each would say something with every tick of the clock.
QUIET = ("celery.beat", "celery.worker.autoscale", "celery.worker.strategy", "celery.app.trace")

# Each would quote what is sent to it and what it answers.
DISCREET = ("stripe", "urllib3")

# What one hears of whenever the broker, or a process of a pool, goes away; where it was noticed says nothing more.
GONE = (redis.ConnectionError, redis.TimeoutError, WorkerLostError)

NEW_LINES = re.compile(r"\s*\n\s*")

# Whoever knows these addresses needs no login.
SECRET = re.compile(
    r"(?<=/profile/)[^\s/?]+|(?<=/(?:password|waitlist)/)[^\s/?.]+\.[^\s/?]+|(?<=/email/)[^\s/?.]+\.[^\s/?]+"
)


def configure(*, json: bool, level: str) -> dict[str, Any]:
    """Sets structlog up and returns the LOGGING setting that sends everything else the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _on_one_line,
        _without_traceback_of_the_gone,
        _without_secrets,
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    lines: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if json
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                # The default one shows the values of local variables, which may be somebody's address.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *lines],
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"level": level},  # without Django's own handlers: no request waits for a mail about its failure
            **{name: {"level": "WARNING"} for name in QUIET + DISCREET},
        },
    }


def _on_one_line(logger: Any, method: str, line: EventDict) -> EventDict:
    """Celery tells in three that the broker is away."""
    event = line["event"]
    return {**line, "event": NEW_LINES.sub(" ", event.strip())} if isinstance(event, str) else line


def _without_traceback_of_the_gone(logger: Any, method: str, line: EventDict) -> EventDict:
    match line.get("exc_info"):
        case (type() as kind, _, _) if issubclass(kind, GONE):
            return {name: value for name, value in line.items() if name != "exc_info"} | {"level": "warning"}
    return line


def _without_secrets(logger: Any, method: str, line: EventDict) -> EventDict:
    return {name: SECRET.sub("…", value) if isinstance(value, str) else value for name, value in line.items()}
