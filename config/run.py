"""`make run`: the whole of Boxoffice on one machine, in one terminal.

Starts PostgreSQL and Valkey of its own (unless DATABASE_URL or REDIS_URL name others), prepares the database, and runs
the site, a worker for each queue, and the clock until Ctrl-C.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from config import bundled, screen
from config.supervisor import Program, Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 8000
SITE_ANSWERS_WITHIN = 60.0  # seconds
MANY = ("--backlog=4096", "--backpressure=4096", "--http1-header-read-timeout=10000")
"""How many connections the site bears, most of them of clients that say nothing or say it slowly, and for how many
milliseconds it waits for the head of a request.
"""

ENVIRONMENT = """\
environment:
  PORT, HOST                where the site listens (8000 or the next free port, 127.0.0.1)
  BOXOFFICE_HOME            where data, secrets and mails are kept (./var)
  BOXOFFICE_ADMIN_PASSWORD  the password of the user `admin` (without it one is made, kept and shown)
  DATABASE_URL              a PostgreSQL to use instead of the bundled one; DATABASE_OWNER_URL for the owner's role
  REDIS_URL                 a Redis or Valkey to use instead of the bundled one
  EMAIL_URL                 a mail server, as smtp://…; without one mails become files in the home
  RELAY_URL                 a broker (redis://…, amqp://…) to which events are published; without one none are
  LOG_FORMAT                `json` for log lines that machines read
"""


class Refused(Exception):
    """The site cannot run as asked; the message says why."""


class Ending(Exception):
    """Somebody asked this program to end."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m config.run",
        description=__doc__,
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")
    parent = os.getppid() if parser.parse_args().with_parent else None
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    console = Console(highlight=False)
    try:
        run(console, parent)
    except Ending:
        with suppress(OSError):
            console.print("Boxoffice has stopped.")
    except (bundled.BundledError, Refused) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    return 0


def run(console: Console, parent: int | None) -> NoReturn:
    """Runs everything until a signal comes, or `parent` is our parent no longer; raises Ending when all has stopped."""
    home = bundled.Home(Path(os.environ.get("BOXOFFICE_HOME") or BASE_DIR / "var"))
    host, port = listening_address(console)
    home.folder("static")  # what WhiteNoise looks into; nothing need be collected here
    own_postgres, own_valkey = not os.environ.get("DATABASE_URL"), not os.environ.get("REDIS_URL")
    with bundled.servers(home, postgres=own_postgres, valkey=own_valkey) as servers:
        environment = child_environment(home, servers, port)
        supervisor = Supervisor(servers.guardian, environment, console)
        try:
            if supervisor.run(Program("prepare", "dim", (sys.executable, "-m", "config.prepare"))) != 0:
                raise Refused("The database could not be prepared; the lines above say why.")
            for server in servers.each:
                supervisor.keep_server(server)
            for program in programs(home, host, port):
                supervisor.keep(program)
            wait_until_answered(host, port)
            screen.show(console, environment, home)
            while parent is None or os.getppid() == parent:
                time.sleep(1)
            raise Ending
        finally:
            supervisor.stop()


def listening_address(console: Console) -> tuple[str, int]:
    """HOST and PORT as asked for, or the first free port; raises Refused when the one asked for is taken."""
    host = os.environ.get("HOST") or "127.0.0.1"
    asked = os.environ.get("PORT")
    if asked:
        if not _is_free(host, int(asked)):
            raise Refused(f"Port {asked} is taken. Choose another: make run PORT={int(asked) + 1}")
        return host, int(asked)
    port = next(port for port in range(DEFAULT_PORT, 2 * DEFAULT_PORT) if _is_free(host, port))
    if port != DEFAULT_PORT:
        console.print(f"Port {DEFAULT_PORT} is taken; the site is at {port}.")
    return host, port


def child_environment(home: bundled.Home, servers: bundled.Servers, port: int) -> dict[str, str]:
    """The environment of every process: ours, and what only we know."""
    environment = {
        "SECRET_KEY": home.secret("secret-key"),
        "BASE_URL": f"http://localhost:{port}",
        **os.environ,
        "BOXOFFICE_HOME": str(home.root),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    if not environment.get("DATABASE_URL"):
        environment |= {"DATABASE_URL": servers.database_url, "DATABASE_OWNER_URL": servers.owner_url}
    if not environment.get("REDIS_URL"):
        environment["REDIS_URL"] = servers.redis_url
    if os.geteuid() == 0:
        # On a laptop, in a container: no news to whoever chose to be root.
        environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser privileges")
    return environment


def programs(home: bundled.Home, host: str, port: int) -> tuple[Program, ...]:
    """The processes of an installation, as one would spread them over machines."""
    python = (sys.executable, "-m")
    worker = (*python, "config.background", "worker")
    granian = (*python, "granian", "--interface=asginl", "--respawn-failed-workers", *MANY)
    site = (*granian, f"--host={host}", f"--port={port}", "config.asgi:application")
    live = ("--queues=live", "--name=live", "--processes=2")
    effects = ("--queues=effects", "--name=effects", "--processes=3", "--idle-processes=0")
    clock = ("--queues=clock", "--name=clock", "--pool=solo", f"--schedule={home.folder('beat') / 'schedule'}")
    relay = (sys.executable, str(BASE_DIR / "manage.py"), "relay", "run")
    rebuilder = ("--queues=rebuild", "--name=rebuild", "--processes=1", "--idle-processes=0")
    return (
        Program("site", "green", site),
        Program("worker", "cyan", (*worker, *live)),
        Program("effects", "yellow", (*worker, *effects)),
        Program("rebuilder", "blue", (*worker, *rebuilder)),
        Program("clock", "magenta", (*worker, *clock)),
        *([Program("relay", "white", relay)] if os.environ.get("RELAY_URL") else []),
    )


def wait_until_answered(host: str, port: int) -> None:
    """Returns when the site accepts connections, or when it has had time enough to say in its log why not."""
    deadline = time.monotonic() + SITE_ANSWERS_WITHIN
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.05)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def _end(number: int, frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # once is enough: stopping takes a moment
    if number == signal.SIGHUP:
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (the terminal is gone)
    raise Ending


if __name__ == "__main__":
    sys.exit(main())
