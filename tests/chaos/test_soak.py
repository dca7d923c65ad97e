"""A soak of a few seconds: it sells, kills, comes to rest, and says what it found."""

import json
import subprocess
import sys

import pytest

from tests.integration.processes import BASE_DIR

pytestmark = [pytest.mark.long, pytest.mark.bundled, pytest.mark.timeout(900)]


def test_a_short_soak_ends_with_a_verdict(tmp_path):
    log = tmp_path / "printed"
    command = [sys.executable, "-m", "tests.chaos.soak", "--minutes", "0.2", "--json", "--log", log]
    ended = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["wrong"]) == (0, {}), told
    assert told["answered"]["accepted"]
    assert told["acts"]
    assert "│" in log.read_text()
