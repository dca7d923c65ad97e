"""The consumer of the docs, killed again and again while events come: it misses none, and repeats only what it had not
noted down.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from knox.models import AuthToken

from eventstore.models import StoredEvent
from tests.integration.api.caller import follower
from tests.integration.eventstore import raw
from tests.integration.processes import BASE_DIR, eventually, server

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.long]

KILLS = int(os.environ.get("KILLS", "20"))
A_SECOND = 100
"""Events that come in a second."""


@pytest.fixture
def program(tmp_path):
    page = (BASE_DIR / "docs" / "feed.md").read_text()
    path = tmp_path / "consumer.py"
    path.write_text(page.partition("```python\n")[2].partition("```")[0])
    return path


@pytest.fixture
def token():
    return AuthToken.objects.create(user=follower())[1]


def append_until(over: Event) -> None:
    with closing(raw.connect()) as writer:
        while not over.wait(10 / A_SECOND):
            for _ in range(10):
                raw.append(writer)
                writer.commit()


def read(notes: Path) -> list[int]:
    """What was dealt with; the last line may be cut off."""
    return [int(line.split()[0]) for line in notes.read_text().split("\n")[:-1]]


def has_more(notes: Path, number: int) -> bool:
    return len(read(notes)) > number


def test_a_consumer_that_is_killed_misses_nothing(tmp_path, program, token):
    place, notes, over, chance = tmp_path / "place.json", tmp_path / "notes", Event(), random.Random(1)
    notes.touch()
    writer = Thread(target=append_until, args=[over])
    with server() as site, notes.open("ab") as output:
        environment = {**os.environ, "SITE": site, "TOKEN": token, "PLACE": str(place)}

        def started() -> subprocess.Popen[bytes]:
            return subprocess.Popen([sys.executable, str(program)], env=environment, stdout=output)

        writer.start()
        try:
            for _ in range(KILLS):
                noted = json.loads(place.read_text())["after"] if place.exists() else 0
                before = len(read(notes))
                victim = started()
                eventually(partial(has_more, notes, before), 60, "an event")
                assert read(notes)[before] > noted
                time.sleep(chance.uniform(0, 0.3))
                victim.send_signal(signal.SIGKILL)
                victim.wait()
        finally:
            over.set()
            writer.join()
        last = started()
        try:
            positions = list(StoredEvent.objects.order_by("position").values_list("position", flat=True))
            eventually(lambda: read(notes)[-1:] == positions[-1:], 60, "the end of the log")
        finally:
            last.kill()
            last.wait()
    dealt_with = read(notes)
    assert sorted(set(dealt_with)) == positions
    following = dict(pairwise(positions))
    back = [(here, there) for here, there in pairwise(dealt_with) if following[here] != there]
    assert all(there <= here for here, there in back)
    assert len(back) <= KILLS
