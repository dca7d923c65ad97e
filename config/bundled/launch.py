"""Starts the bundled servers of a home together, and sees to it that they end together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from config.bundled.errors import BundledError
from config.bundled.guardian import Guardian
from config.bundled.home import Home
from config.bundled.postgres import APPLICATION, DATABASE, OWNER, SUPERUSER, Postgres
from config.bundled.server import Server
from config.bundled.valkey import Valkey


class Servers:
    """The running servers of a home, and the guardian that stops them (and what else it is told to watch)."""

    def __init__(self, guardian: Guardian, postgres: Postgres | None, valkey: Valkey | None) -> None:
        self.guardian = guardian
        self._postgres = postgres
        self._valkey = valkey
        self.each: list[Server] = [server for server in (postgres, valkey) if server is not None]

    def start(self) -> None:
        """Starts each server that there is."""
        for server in self.each:
            server.start()

    def stop(self) -> None:
        """Stops each server that there is."""
        for server in reversed(self.each):
            server.stop()

    @property
    def postgres(self) -> Postgres:
        if self._postgres is None:
            raise BundledError("PostgreSQL is not one of the servers started here.")
        return self._postgres

    @property
    def valkey(self) -> Valkey:
        if self._valkey is None:
            raise BundledError("Valkey is not one of the servers started here.")
        return self._valkey

    @property
    def database_url(self) -> str:
        """For the application's role."""
        return self.postgres.url(APPLICATION, DATABASE)

    @property
    def owner_url(self) -> str:
        """For the role that owns the database and migrates it."""
        return self.postgres.url(OWNER, DATABASE)

    @property
    def superuser_url(self) -> str:
        return self.postgres.url(SUPERUSER, "postgres")

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    def create_database(self, name: str) -> tuple[str, str]:
        """A new, empty database of that name beside the first: its URLs for the owner and for the application."""
        self.postgres.create_database(name)
        return self.postgres.url(OWNER, name), self.postgres.url(APPLICATION, name)


@contextmanager
def servers(
    home: Home, *, postgres: bool = True, valkey: bool = True, settings: Mapping[str, str] | None = None
) -> Iterator[Servers]:
    """Holds the home, and runs the servers asked for until the block ends, however it ends.

    `settings` go to PostgreSQL. Raises HomeInUse when another process holds the home, BundledError when a server does
    not start.
    """
    with home.locked() as lock:
        guardian = Guardian(lock)
        started = Servers(
            guardian,
            Postgres(home, guardian, settings or {}) if postgres else None,
            Valkey(home, guardian) if valkey else None,
        )
        try:
            started.start()
            yield started
        finally:
            guardian.close()
            started.stop()
