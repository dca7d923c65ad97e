"""All that `make run` runs, in a home of its own: servers, site, workers and clock, which a supervisor starts again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from rich.console import Console

from config import bundled
from config.bundled.valkey import free_port
from config.run import child_environment, programs, wait_until_answered
from config.supervisor import Program, Supervisor
from tests.integration.processes import MailServer, mail_server
from tests.servers import temporary_home

HOST = "127.0.0.1"
ALL_BUYERS_ARE_ONE = {"THROTTLE_REGISTER": "1000/s", "THROTTLE_TOKEN": "1000/s"}
"""They share an address, so the brakes would hold them for one who guesses passwords."""

BUYERS_MAY_OWE = {"UNPAID_ORDERS": "0", "UNPAID_SEATS": "0"}
"""Many of their orders at once, for all that are killed before they pay."""


class Site:
    """The running whole. `log` is the file with what an operator would read in the terminal."""

    def __init__(
        self,
        home: bundled.Home,
        servers: bundled.Servers,
        mails: MailServer,
        environment: dict[str, str],
        port: int,
    ) -> None:
        self.servers, self.mails, self.environment, self.port = servers, mails, environment, port
        self.log = home.root / "soak.log"
        self._programs = {program.name: program for program in programs(home, HOST, port)}

    @property
    def names(self) -> list[str]:
        return list(self._programs)

    def run(self) -> Supervisor:
        """Prepares the database and starts the programs; whoever asked for it stops the supervisor."""
        supervisor = Supervisor(
            self.servers.guardian, self.environment, Console(file=self.log.open("w"), width=100_000)
        )
        prepare = self._programs["site"].command[:2]
        assert supervisor.run(Program("prepare", "dim", (*prepare, "config.prepare"))) == 0, self.log.read_text()
        for program in self._programs.values():
            supervisor.keep(program)
        wait_until_answered(HOST, self.port)
        return supervisor

    def main_process(self, name: str) -> psutil.Process | None:
        """That of a program; none while it waits to be started again."""
        command = list(self._programs[name].command)
        return next((each for each in psutil.Process().children() if _command(each) == command), None)


@contextmanager
def site() -> Iterator[Site]:
    """A site that sells, until the block ends. What the environment says of it holds, but it has servers of its own."""
    with temporary_home() as home, bundled.servers(home) as servers, mail_server() as (mails, mail_url):
        home.folder("static")
        port = free_port()
        for given in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "BROKER_URL"):
            os.environ.pop(given, None)
        environment = child_environment(home, servers, port)
        environment |= {"EMAIL_URL": mail_url, "DJANGO_SETTINGS_MODULE": "config.settings", "NO_COLOR": "1"}
        environment = ALL_BUYERS_ARE_ONE | BUYERS_MAY_OWE | environment
        started = Site(home, servers, mails, environment, port)
        supervisor = started.run()
        try:
            yield started
        finally:
            supervisor.stop()
            servers.guardian.close()


def backends(postmaster: int) -> list[psutil.Process]:
    """PostgreSQL's processes that serve a session each, the oldest first."""
    try:
        children = psutil.Process(postmaster).children()
    except psutil.NoSuchProcess:
        return []
    named = [(each, " ".join(_command(each))) for each in children]
    return [each for each, command in named if command.startswith("postgres: boxoffice")]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
