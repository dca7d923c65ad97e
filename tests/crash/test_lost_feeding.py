"""What is fed is committed without waiting for the disk, for all of it can be fed again."""

import json
import os

import pytest

from tests.integration.processes import Program

pytestmark = pytest.mark.bundled

ROUNDS = int(os.environ.get("BOXOFFICE_CRASHES", "10"))


def test_when_postgresql_dies_between_feeding_and_the_next_append_everything_is_fed_again():
    crashing = Program("-m", "tests.crash.lost_feeding", str(ROUNDS), LOG_LEVEL="ERROR")
    assert crashing.process.wait(60 + 20 * ROUNDS) == 0, crashing.output
    told = json.loads(crashing.output.splitlines()[-1])
    assert told["fed_again"], "Nothing was lost of what was fed: this shows nothing."
    assert told == {
        "rounds": ROUNDS,
        "fed_again": told["fed_again"],
        "events_lost": 0,
        "orders": {"confirmed": ROUNDS // 2},
        "wrong": [],
    }
