"""Where PostgreSQL's files go: below the home, unless its account cannot get there or the path is too long."""

import hashlib
import logging
import os
import tempfile
from pathlib import Path

from config.bundled.account import Account
from config.bundled.home import Home

ELSEWHERE = Path("/var/lib/boxoffice")
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103  # bytes, on the strictest system; Linux allows 107

logger = logging.getLogger(__name__)


def base(home: Home, account: Account) -> Path:
    """The folder for data, log and programs of the account."""
    inside = home.root / "postgres"
    if account.uid is None:
        inside.mkdir(mode=0o700, exist_ok=True)
        return inside
    home.root.chmod(home.root.stat().st_mode | 0o111)  # to be walked through, not to be read
    if account.reaches(home.root):
        return _passable(inside)
    name = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:12]
    logger.info("PostgreSQL runs as another user, who cannot reach %s: its data are in %s", home.root, ELSEWHERE / name)
    return _passable(_passable(ELSEWHERE) / name)


def socket_folder(base: Path, account: Account) -> Path:
    """A folder that only the account opens, short enough for a socket's path."""
    folder = base / "run"
    if len(os.fsencode(folder / SOCKET)) > SOCKET_PATH_LIMIT:
        return _short(folder, account)
    folder.mkdir(mode=0o700, exist_ok=True)
    return account.own(folder)


def _short(link: Path, account: Account) -> Path:
    """A folder of its own below /tmp, remembered by a link so that a later start finds it again."""
    if link.is_symlink() and _is_private(link.readlink(), account):
        return link.readlink()
    folder = account.own(Path(tempfile.mkdtemp(prefix="boxoffice-", dir="/tmp")))
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return folder


def _is_private(folder: Path, account: Account) -> bool:
    """/tmp is everybody's: after a reboot somebody else may have taken the name."""
    owner = os.geteuid() if account.uid is None else account.uid
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return status.st_uid == owner and status.st_mode & 0o170777 == 0o040700


def _passable(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder
