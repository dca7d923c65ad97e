"""Modules are parsed while other threads parse theirs, and garbage is collected in the middle of it."""

import gc
import time
from pathlib import Path

import pytest

from eventstore.fingerprint.name_resolution import parse
from tests.integration.eventstore.beside import Beside

TEXTS = [path.read_text() for path in (Path(__file__).parents[2] / "ordering" / "domain").rglob("*.py")]


class Trash:
    """Lets others have a turn when it is collected."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def busy_collector():
    before = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)


def parse_all():
    for text in TEXTS:
        for _ in range(5):
            Trash()
        parse(text)


def test_threads_parse_one_after_the_other(busy_collector):
    for _ in range(5):
        assert [each.outcome() for each in [Beside(parse_all) for _ in range(4)]] == 4 * [None]
