"""The operating system's account that a server runs under: PostgreSQL refuses to run as root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from config.bundled.errors import BundledError

UNPRIVILEGED = ("postgres", "nobody")


class SpawnOptions(TypedDict, total=False):
    """What subprocess takes to run a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Whoever runs this program, or, when that is root, an unprivileged user (`uid` and `gid` set)."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def suitable(cls) -> "Account":
        """Ourselves, unless we are root; raises BundledError when root finds nobody to become."""
        if os.geteuid() != 0:
            return cls()
        for name in UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise BundledError(f"PostgreSQL does not run as root, and there is no user {' or '.join(UNPRIVILEGED)}.")

    @property
    def options(self) -> SpawnOptions:
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, path: Path) -> bool:
        """Whether this account can enter the folder, or run the program."""
        test = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
        return subprocess.run(test, cwd="/", check=False, **self.options).returncode == 0

    def own(self, path: Path) -> Path:
        """Gives the path to this account, and returns it."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return path
