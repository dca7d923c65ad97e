"""After a failover nobody decides on what the standby lacked that was promoted, however well it is remembered; and
subscribers whose rows it lacked are fed again.
"""

import json

import pytest

from tests.integration.processes import Program

pytestmark = pytest.mark.bundled

SOLD_TO_OTHERS = [8, 4]
"""The version of the stream, and how many seats were free before it was lost. Others have taken them by that version.
"""


def test_a_process_that_remembers_what_the_promoted_standby_lacks_sells_no_seat_twice_and_feeds_everybody():
    failing_over = Program("-m", "tests.crash.failover", LOG_LEVEL="ERROR")
    assert failing_over.process.wait(200) == 0, failing_over.output
    told = json.loads(failing_over.output.splitlines()[-1])
    assert told == {
        "lost": 10,
        "fenced": True,
        "missing": ["mail.welcome"],
        "unfed": [],
        "remembered": 2 * [SOLD_TO_OTHERS],
        "refused": 2,
        "available": [0, 0],
        "wrong": [],
    }
