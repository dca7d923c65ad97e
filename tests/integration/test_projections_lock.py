"""The lock file of the projections, in a copied app whose code changes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.fork_server import manage, try_manage
from tests.integration.test_portable import make_project

CHANGES = {
    "handler": ("domain.py", "row.reminders += 1", "row.reminders += step()"),
    "helper": ("domain.py", "return STEP", "return STEP + 1"),
    "constant": ("domain.py", "STEP = 1", "STEP = 2"),
    "event": ("domain.py", "class Lent(Event):\n", "\\g<0>    due: str = ''\n"),
    "upcaster": ("domain.py", '"untitled"', '"no title"'),
    "model": ("models.py", "IntegerField(default=0)", "IntegerField(default=1)"),
}
DOMAIN = (
    ("row.lent_to = event.reader", "row.lent_to = event.reader * step()"),
    ('@event("book.bought")', '@event("book.bought", version=2)'),
    (
        "class Book(",
        """STEP = 1


def step():
    return STEP


@upcaster("book.bought", 1)
def titles_were_optional(data):
    return {"title": "untitled", **data}


class Book(""",
    ),
    ("from eventstore.events import", "from eventstore.codec import upcaster\nfrom eventstore.events import"),
)


@pytest.fixture(scope="module")
def locked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bare project with a helper, a constant and an upcaster, locked."""
    project = make_project(tmp_path_factory.mktemp("locked"))
    for old, new in DOMAIN:
        edit(project, "domain.py", old, new)
    with (project / "settings.py").open("a") as settings:
        settings.write('\nPROJECTIONS_LOCK = os.path.join(os.path.dirname(__file__), "projections.lock")\n')
    assert "(projections.E009)" in try_manage(project, "check").stderr
    assert "shelves: added (1)" in manage(project, "projections", "lock")
    manage(project, "check")
    return project


@pytest.fixture
def locked(locked_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to edit."""
    return shutil.copytree(locked_once, tmp_path, dirs_exist_ok=True)


def edit(project: Path, name: str, old: str, new: str) -> None:
    file = project / "library" / name
    text = file.read_text()
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new.replace("\\g<0>", old)))


def entry(project: Path) -> dict[str, object]:
    return json.loads((project / "projections.lock").read_text())["shelves"]


@pytest.mark.parametrize("what", CHANGES)
def test_code_that_changed_without_a_new_version_fails_the_checks(what, locked):
    edit(locked, *CHANGES[what])
    done = try_manage(locked, "check")
    assert done.returncode != 0
    assert "(projections.E008) shelves changed without a new version." in done.stderr
    assert "projections lock --same shelves" in done.stderr


def test_formatting_and_words_pass_the_checks(locked):
    edit(locked, "domain.py", "def step():\n", 'def step():\n    """How far."""\n')
    edit(locked, "domain.py", "row.title = event.title", "row.title = event.title  # as bought")
    edit(
        locked, "domain.py", "def bought(self, row, event, meta):", "def bought(self, row: Shelf, event: Bought, meta):"
    )
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "40", "library"]
    subprocess.run(command, cwd=locked, check=True, capture_output=True)
    assert "row: Shelf,\n" in (locked / "library" / "domain.py").read_text()
    manage(locked, "check")


def test_the_lock_refuses_a_change_takes_a_new_version_and_remembers_what_is_the_same(locked):
    lock = locked / "projections.lock"
    first, text = entry(locked), lock.read_text()
    assert try_manage(locked, "projections", "lock", "--same", "shelves").returncode == 1
    edit(locked, *CHANGES["handler"])
    for options in ((), ("--check",), ("--check", "--json")):
        done = try_manage(locked, "projections", "lock", *options)
        assert done.returncode == 1
        assert "shelves" in done.stderr
        assert lock.read_text() == text
    (told,) = json.loads(done.stdout)
    assert (told["projection"], told["version"], told["refused"]) == ("shelves", 1, True)

    assert "folds the same rows" in manage(locked, "projections", "lock", "--same", "shelves")
    same = entry(locked)
    assert same["fingerprint"] == told["fingerprint"] != first["fingerprint"]
    assert (same["version"], same["same_as"]) == (1, [first["fingerprint"]])
    manage(locked, "check")
    edit(locked, "domain.py", CHANGES["handler"][2], CHANGES["handler"][1])
    manage(locked, "check")

    edit(locked, "domain.py", 'name="shelves"', 'name="shelves", version=2')
    edit(locked, *CHANGES["constant"])
    assert "(projections.E009)" in try_manage(locked, "check").stderr
    assert "shelves: new version (2)" in manage(locked, "projections", "lock")
    assert entry(locked)["version"] == 2
    assert "same_as" not in entry(locked)
    assert "No changes detected." in manage(locked, "projections", "lock", "--check")

    edit(locked, "domain.py", 'name="shelves", version=2', 'name="shelves"')
    assert "a version only rises" in try_manage(locked, "projections", "lock").stderr
    assert entry(locked)["version"] == 2


def test_an_entry_without_a_projection_is_named_and_removed(locked):
    lock = locked / "projections.lock"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "gone": {"version": 1, "fingerprint": "0"}}))
    assert "(projections.E010) gone" in try_manage(locked, "check").stderr
    assert "gone: removed" in manage(locked, "projections", "lock")
    manage(locked, "check")


def test_a_lock_or_code_that_can_not_be_read_is_named(locked):
    lock = locked / "projections.lock"
    text = lock.read_text()
    lock.write_text("<<<<<<<")
    assert "(projections.E012)" in try_manage(locked, "check").stderr
    assert "can't be read" in try_manage(locked, "projections", "lock").stderr
    lock.write_text(text)
    edit(locked, "domain.py", "def step():", "exec('def hidden(): return 1')\n\n\ndef step():")
    edit(locked, "domain.py", "return STEP", "return hidden()")
    assert "(projections.E011)" in try_manage(locked, "check").stderr
