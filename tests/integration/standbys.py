"""A second PostgreSQL server, which has what a first one had, and can be promoted to take its place."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from config.bundled import Home
from config.bundled.guardian import Guardian
from config.bundled.places import SOCKET
from config.bundled.postgres import SUPERUSER, Postgres
from tests.integration.processes import eventually


class Standby(Postgres):
    """A server that waits for more from a primary, and answers whoever reads."""

    def _provision(self) -> None:
        """Its roles are those of the primary."""

    def promote(self) -> None:
        with self._superuser() as superuser:
            assert superuser.execute("SELECT pg_promote()").fetchone() == (True,)


class StreamingStandby(Standby):
    """One that begins with a copy of a running primary and is sent what that writes, until it is cut off."""

    def __init__(self, home: Home, guardian: Guardian, primary: Postgres, settings: Mapping[str, str]) -> None:
        shutil.copytree(primary._secrets.folder("secrets"), home.root / "secrets")
        super().__init__(home, guardian, settings)
        self._primary = primary

    def cut_off(self) -> None:
        """From when it has all that there is, it is sent nothing more."""
        with self._primary._superuser() as primary, self._superuser() as standby:
            written = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
            eventually(lambda: standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", written).fetchone() == (True,))
            standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            standby.execute("SELECT pg_reload_conf()")
            eventually(lambda: standby.execute("SELECT count(*) FROM pg_stat_wal_receiver").fetchone() == (0,))

    def take_over(self) -> None:
        """Be the primary, which is dead, at its address: whoever asks for that reaches this one."""
        self.promote()
        address = self._primary._sockets / SOCKET
        address.unlink()
        address.symlink_to(self._sockets / SOCKET)

    def _make_data(self) -> None:
        self.folder.mkdir(mode=0o700)
        self._account.own(self.folder)
        command: list[Path | str] = [
            *(self._programs / "pg_basebackup", f"--dbname={self._primary.url(SUPERUSER, 'postgres')}"),
            *(f"--pgdata={self.folder}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        ]
        subprocess.run(command, cwd="/", env={"LC_ALL": "C"}, check=True, **self._account.options)
