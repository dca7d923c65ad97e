"""The distribution of the three apps, built and installed as a project of somebody else's would have it."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from functools import cache
from importlib import metadata
from pathlib import Path

BASE_DIR = Path(__file__).parents[2]
APPS = ("eventstore", "projections", "sagas")
SOURCES = ("pyproject.toml", "LICENSE", "docs/apps.md")
FORBIDDEN = {"ordering", "config", "rest_framework", "unfold", "knox", "environ", "django_structlog"}
OURS = {"DJANGO_SETTINGS_MODULE", "PYTHONPATH", "DATABASE_URL", "DATABASE_OWNER_URL", "SECRET_KEY", "BOXOFFICE_HOME"}
"""Variables of the environment that are about this project."""

BORROWED = """
import site
import sys
from importlib.abc import MetaPathFinder

FORBIDDEN = {forbidden!r}


class Absent(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{{fullname}} is not part of this project", name=fullname)


sys.meta_path.insert(0, Absent())
site.USER_SITE = {packages!r}
"""
"""Borrows packages, but for some that the distribution has to do without. They count as installed, for the user."""


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
    shutil.copytree(_installed(), folder, dirs_exist_ok=True)


@cache
def _installed() -> Path:
    """A folder with nothing but the three apps, made once a process."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-installed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _pip("install", "--no-deps", "--no-index", "--target", str(folder), str(wheel()))
    return folder


@cache
def environment() -> Path:
    """The Python of a virtual environment with the distribution, and with all that is installed here but for what the
    three apps do without; made once a process. pip finds there whatever the distribution says that it needs.
    """
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-environment-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    python = bare_environment(folder / "venv")
    _pip("install", "--no-index", str(wheel()), python=python)
    return python


def bare_environment(folder: Path) -> Path:
    """The same without the distribution."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = str(metadata.distribution("django").locate_file(""))
    (packages / "borrowed.py").write_text(BORROWED.format(packages=borrowed, forbidden=FORBIDDEN))
    (packages / "borrowed.pth").write_text(f"{borrowed}\nimport borrowed\n")
    return folder / "bin" / "python"


def variables(python: Path, **more: str) -> dict[str, str]:
    """The environment of programs in such a one: its own come first, and nothing leads back to the repository."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(python.parents[1]), **more}


def _pip(*arguments: str, python: str | Path = sys.executable) -> None:
    done = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
