"""A soak of a few seconds: it sells, kills, comes to rest, and says what it found."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.integration.processes import BASE_DIR

pytestmark = [pytest.mark.long, pytest.mark.bundled, pytest.mark.timeout(900)]


def test_a_short_soak_ends_with_a_verdict(tmp_path):
    log = tmp_path / "printed"
    told = soaked("--minutes", "0.2", "--log", str(log))
    assert told["answered"]["accepted"]
    assert told["acts"]
    assert "│" in log.read_text()


def test_the_books_hold_whoever_is_killed_while_money_comes_and_goes():
    told = soaked("--money", "--minutes", "1")
    assert told["answered"]["accepted"]
    assert told["acts"]
    assert "the trial balance is zero, and no refund is under way" in told["held"]


def soaked(*options: str) -> dict[str, Any]:
    """What a soak says, of which nothing is wrong."""
    command = [sys.executable, "-m", "tests.chaos.soak", "--json", *options]
    ended = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    told: dict[str, Any] = json.loads(ended.stdout)
    assert (ended.returncode, told["wrong"]) == (0, {}), told
    return told
