"""`python -m eventstore startproject` writes a project that runs, where there is the distribution and no repository."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration import packaging
from tests.integration.copying import empty

BASE_DIR = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def python() -> Path:
    return packaging.environment()


def run(
    python: Path, folder: Path, *arguments: str, environment: dict[str, str] | None = None, fails: bool = False
) -> str:
    """What a program prints, to both streams."""
    done = subprocess.run(
        [python, *arguments],
        cwd=folder,
        env=packaging.variables(python, **environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert bool(done.returncode) is fails, done.stdout
    return done.stdout


def start(python: Path, folder: Path, *arguments: str, fails: bool = False) -> str:
    return run(python, folder, "-m", "eventstore", "startproject", *arguments, fails=fails)


def test_a_fresh_project_is_whole_and_passes_its_tests(python, tmp_path):
    start(python, tmp_path, "desk")
    project, url = tmp_path / "desk", os.environ["SPARE_DATABASE_URL"]

    def manage(*arguments: str, **more: str) -> str:
        return run(python, project, "manage.py", *arguments, environment={"DATABASE_URL": url, **more})

    empty(url)
    where = "import eventstore, projections, sagas; print(*(a.__file__ for a in (eventstore, projections, sagas)))"
    found = manage("shell", "--no-imports", "-c", where).split()
    assert all(Path(each).is_relative_to(python.parents[1]) for each in found)
    assert "No changes detected" in manage("makemigrations", "--check")
    assert "No changes detected" in manage("projections", "lock", "--check")
    assert "No changes detected" in manage("events", "lock", "--check")
    manage("migrate")
    assert "no issues" in manage("check", "--database", "default")
    empty(url)
    # The role may make no databases, so the tests get this one.
    said = manage("test", "--keepdb", TEST_DATABASE=urlsplit(url).path.removeprefix("/"))
    assert "Ran 9 tests" in said
    assert "\nOK\n" in said


def test_nothing_is_left_to_be_filled_in(python, tmp_path):
    start(python, tmp_path, "desk", "somewhere/else")
    texts = [path.read_text() for path in (tmp_path / "somewhere" / "else").rglob("*") if path.is_file()]
    assert len(texts) > 20
    assert [text for text in texts if "{{" in text or "-tpl" in text] == []
    assert (tmp_path / "somewhere" / "else" / "desk" / "settings.py").exists()
    assert f"boxoffice-eventsourcing~={packaging.wheel().name.split('-')[1]}\n" in "".join(texts)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["my-shop"], "is no Python identifier"),
        (["class"], "is no Python identifier"),
        (["helpdesk"], "choose another name"),
        (["sagas"], "is taken"),
        (["json"], "is taken"),
        (["shop", "full"], "full is not empty"),
        (["shop", "full/file"], "is a file"),
        ([], "required: name"),
    ],
)
def test_what_can_not_be_written_is_refused_with_a_reason(python, tmp_path, arguments, fault):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert fault in start(python, tmp_path, *arguments, fails=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "file"]


def test_a_folder_that_is_there_and_empty_is_written_to(python, tmp_path):
    (tmp_path / "shop").mkdir()
    start(python, tmp_path, "shop")
    assert (tmp_path / "shop" / "manage.py").exists()


def test_help_says_what_is_written(python, tmp_path):
    assert "an aggregate, a projection, a saga, an effect" in " ".join(start(python, tmp_path, "--help").split())
