"""The home: the one folder in which an installation keeps its data, its secrets and its lock."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.bundled.errors import HomeInUse
from config.bundled.guardian import is_running

GRACE = 60.0  # seconds for the guardian of a killed run to finish


class Home:
    """`root` is made if it is not there; what it holds is for its owner's eyes only."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.root.mkdir(parents=True, exist_ok=True)

    def folder(self, name: str) -> Path:
        """A private folder of the home, made on first use."""
        folder = self.root / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def secret(self, name: str) -> str:
        """A random secret that stays the same: made on first use, kept in a file that only its owner reads."""
        path = self._secret_path(name)
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
            fresh.rename(path)
        return path.read_text()

    def known_secret(self, name: str) -> str | None:
        """The secret, if it was made before and not forgotten."""
        path = self._secret_path(name)
        return path.read_text() if path.exists() else None

    def forget_secret(self, name: str) -> None:
        """Removes a secret that no longer opens anything."""
        self._secret_path(name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Holds the home for this process, yielding the lock's descriptor for the guardian; raises HomeInUse."""
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + GRACE
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = int(os.pread(descriptor, 20, 0) or 0)
                # A holder that is dead left its guardian behind, which is about to be done.
                if is_running(holder) or time.monotonic() > deadline:
                    raise HomeInUse(
                        f"Boxoffice already runs from {self.root} (process {holder}). "
                        "Stop it first, or choose another folder: BOXOFFICE_HOME=/some/folder make run"
                    ) from None
                time.sleep(0.05)

    def _secret_path(self, name: str) -> Path:
        return self.folder("secrets") / name
