"""The processes behind the site, as Celery's command line would start them, but sooner and smaller: they load neither
its tools nor look for garbage in what they load.
"""

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger(__name__)

GRACE = 10.0
"""Seconds after which a worker that has failed ends, whatever it waits for: while it is there nobody starts another."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.background", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    worker = kinds.add_parser("worker", help="carries out what is in some queues")
    worker.add_argument("--queues", required=True, help="their names, with commas between")
    worker.add_argument("--name", required=True, help="what it is called, before the name of its machine")
    worker.add_argument("--pool", choices=("prefork", "solo"), default="prefork", help="processes of its own, or none")
    worker.add_argument("--processes", type=int, default=1, help="at most (1)")
    worker.add_argument("--idle-processes", type=int, help="that stay when there is nothing to do (all)")
    worker.add_argument("--schedule", help="be the clock as well, which notes in this file what it called for")
    clock = kinds.add_parser("clock", help="calls for what is done periodically")
    clock.add_argument("--schedule", required=True, help="the file in which it notes what it called for")
    options = parser.parse_args()
    if options.kind == "worker" and options.schedule and options.pool != "solo":
        parser.error("Only a worker with --pool=solo can be the clock as well: others fork.")
    gc.disable()
    return work(options) if options.kind == "worker" else tick(options)


def work(options: argparse.Namespace) -> int:
    """A worker, until it is told to end; answers its exit code."""
    from celery.utils.nodenames import default_nodename, host_format

    from config.celery import app

    class Worker(app.Worker):  # type: ignore[misc, name-defined]  # made for the app
        def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> Any:
            if exitcode:
                end_after(GRACE, exitcode)
            return super().stop(in_sighandler, exitcode)

    idle = options.idle_processes
    worker = Worker(
        hostname=host_format(default_nodename(f"{options.name}@%h")),
        queues=options.queues,
        pool=options.pool,
        concurrency=options.processes,
        autoscale=None if idle is None else (options.processes, idle),
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    _keep_what_is_loaded()
    with ticking_beside(app, options.schedule) if options.schedule else nullcontext():
        worker.start()
    return worker.exitcode or 0


def tick(options: argparse.Namespace) -> int:
    """The clock, until it is told to end."""
    from config.celery import app

    beat = app.Beat(schedule=options.schedule, quiet=True)
    beat.init_loader()
    _keep_what_is_loaded()
    beat.run()
    return 0


@contextmanager
def ticking_beside(app: "Celery", schedule: str) -> Iterator[None]:
    """The clock in a thread of this process. If it fails both end, and whoever keeps this process starts them again."""
    from celery.beat import Service

    clock = Service(app, schedule_filename=schedule, scheduler_cls=app.conf.beat_scheduler)
    failed = threading.Event()

    def tick() -> None:
        app.set_current()
        try:
            clock.start()
        except Exception:
            log.exception("clock_failed")
            failed.set()
            end_after(GRACE, 1)
            signal.raise_signal(signal.SIGTERM)

    thread = threading.Thread(target=tick, name="clock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        clock.stop()
        thread.join(GRACE)
    if failed.is_set():
        sys.exit(1)


def end_after(seconds: float, exitcode: int) -> None:
    """End this process then, if it is still there."""
    timer = threading.Timer(seconds, os._exit, [exitcode])
    timer.daemon = True
    timer.start()


def _keep_what_is_loaded() -> None:
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
