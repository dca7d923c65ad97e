"""The three apps live in any Django project: without this one, without REST framework, without Unfold."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.copying import empty
from tests.integration.packaging import APPS, install, wheel

BASE_DIR = Path(__file__).parent.parent.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def make_project(folder: Path) -> Path:
    """A project of its own, on a database with nothing in it."""
    empty(os.environ["SPARE_DATABASE_URL"])
    shutil.copytree(BASE_DIR / "tests" / "portable", folder, dirs_exist_ok=True)
    install(folder)
    return folder


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
    assert "No difference." in manage(project, "sagas", "rehearse", "reminders")
    assert "No changes detected" in manage(project, "makemigrations", "--check", "eventstore", "projections", "sagas")


def test_a_bare_project_imports_files_of_its_own(project):
    manage(project, "makemigrations", "library")
    manage(project, "migrate")
    file = project / "books.csv"
    file.write_text("title\nUlysses\nDubliners\n")
    assert "imported: 2" in manage(project, "import_books", str(file))
    assert "skipped, as imported before: 2" in manage(project, "import_books", str(file))
    file.write_text('{"title": "Exiles"}\n{"name": "Finnegans Wake"}\n')
    refused = try_manage(project, "import_books", str(file), "--format", "jsonl")
    assert (refused.returncode, "line 2, title: A book has a title." in refused.stderr) == (1, True)


def test_the_distribution_is_of_the_three_apps_alone_with_all_that_they_need():
    names = zipfile.ZipFile(wheel()).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == set(APPS)
    wanted = {
        "eventstore/sql/append_v2.sql",
        "eventstore/static/eventstore/admin.css",
        *(f"{app}/py.typed" for app in APPS),
    }
    tracked = subprocess.run(
        ["git", "ls-files", *APPS], cwd=BASE_DIR, capture_output=True, text=True, check=False
    ).stdout
    assert wanted | set(tracked.split()) <= set(names)


def test_a_bare_project_has_the_apps_from_the_distribution_and_not_from_the_repository(project):
    where = "import eventstore, projections, sagas; print(eventstore.__file__, projections.__file__, sagas.__file__)"
    found = manage(project, "shell", "--no-imports", "-c", where).split()
    assert all(Path(each).is_relative_to(project) for each in found)


def test_a_bare_project_holds_its_own_subscribers_to_the_contract(project):
    manage(project, "makemigrations", "library")
    manage(project, "migrate")
    assert "the contract is kept" in manage(project, "keep")


def test_a_bare_project_tells_its_events(project):
    manage(project, "makemigrations", "library")
    manage(project, "migrate")
    (lent,) = (
        each for each in json.loads(manage(project, "events", "catalogue", "--json")) if each["name"] == "book.lent"
    )
    assert lent["recorded_by"] == [["aggregate", "book"]]
    assert lent["wanted_by"] == [["projection", "shelves"], ["saga", "reminders"]]
    assert (
        "book.lent" in json.loads(manage(project, "events", "catalogue", "--asyncapi"))["channels"]["book"]["messages"]
    )
    manage(project, "lend")
    assert "all of them can be read" in manage(project, "events", "verify")
