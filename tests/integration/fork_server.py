"""manage.py of bare projects, each time in a process forked from one that has the packages loaded.

That one knows no project, and none of the three apps: what is forked is as if it had been started, without the second
that loading everything takes.
"""

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile

BASE_DIR = Path(__file__).parents[2]
PACKAGES = (
    *("django.contrib.postgres.fields", "django.core.management.commands.migrate", "django.views.debug"),
    *("django.db.backends.postgresql.base", "django.db.migrations.autodetector", "django.middleware.csrf"),
    *("celery.app.task", "celery.beat", "celery.worker.components", "msgspec", "rich.progress", "structlog"),
    "uuid_utils.compat",
)
WITHIN = 120
"""Seconds after which a command is killed."""


def try_manage(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    server = _server()
    assert server.stdin
    assert server.stdout
    with NamedTemporaryFile("r") as stdout, NamedTemporaryFile("r") as stderr:
        server.stdin.write(json.dumps([str(project), stdout.name, stderr.name, arguments]) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())


def manage(project: Path, *arguments: str) -> str:
    done = try_manage(project, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def _server() -> subprocess.Popen[str]:
    """Made once a process, and ends with it: then nobody can ask for anything."""
    command = [sys.executable, "-m", "tests.integration.fork_server"]
    return subprocess.Popen(command, cwd=BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def serve() -> None:
    for package in PACKAGES:
        import_module(package)
    gc.freeze()  # else every child copies what is loaded, to find that none of it is garbage
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def run(project: str, stdout: str, stderr: str, arguments: Sequence[str]) -> None:
    signal.alarm(WITHIN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(stdout, os.O_WRONLY), 1)
    os.dup2(os.open(stderr, os.O_WRONLY), 2)
    os.chdir(project)
    sys.path[0], sys.argv[1:] = project, arguments
    runpy.run_path("manage.py", run_name="__main__")


if __name__ == "__main__":
    serve()
