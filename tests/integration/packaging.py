"""The distribution of the three apps, built and installed as a project of somebody else's would have it."""

import atexit
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

BASE_DIR = Path(__file__).parents[2]
APPS = ("eventstore", "projections", "sagas")
SOURCES = ("pyproject.toml", "LICENSE", "docs/apps.md")


@cache
def wheel() -> Path:
    """Built once a process, from a copy, so that nothing is left in the repository."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-wheel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for app in APPS:
        shutil.copytree(BASE_DIR / app, folder / "source" / app, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        (folder / "source" / name).parent.mkdir(exist_ok=True)
        shutil.copy(BASE_DIR / name, folder / "source" / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source"))
    (built,) = folder.glob("*.whl")
    return built


def install(folder: Path) -> None:
    """Put the three apps into a folder, from the wheel; what they need is the environment's."""
    _pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel()))


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
