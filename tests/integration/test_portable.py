"""The three apps live in any Django project: without this one, without REST framework, without Unfold."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.copying import empty

BASE_DIR = Path(__file__).parent.parent.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own, on a database with nothing in it."""
    empty(os.environ["SPARE_DATABASE_URL"])
    shutil.copytree(BASE_DIR / "tests" / "portable", tmp_path, dirs_exist_ok=True)
    for app in ("eventstore", "projections", "sagas"):
        shutil.copytree(BASE_DIR / app, tmp_path / app, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def try_manage(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)


def manage(project: Path, *arguments: str) -> str:
    done = try_manage(project, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_bare_project_runs_a_domain_of_its_own_on_the_three_apps(project):
    manage(project, "makemigrations", "library")
    manage(project, "check")
    manage(project, "migrate")
    assert "lent, reminded, rebuilt" in manage(project, "lend")
    assert "No changes detected" in manage(project, "makemigrations", "--check", "eventstore", "projections", "sagas")


def test_a_bare_project_holds_its_own_subscribers_to_the_contract(project):
    manage(project, "makemigrations", "library")
    manage(project, "migrate")
    assert "the contract is kept" in manage(project, "keep")
