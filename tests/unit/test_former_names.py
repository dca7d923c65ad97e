"""Stored names that no event has any more: what they are read as ends somewhere."""

import pytest

from eventstore import codec
from eventstore.codec import former, formers


@pytest.fixture(autouse=True)
def none_yet(monkeypatch):
    monkeypatch.setattr(codec, "_formers", {})


def read_as(name, *others):
    former(name, into=dict.fromkeys(others, 1))(lambda fields: dict.fromkeys(others, fields))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_name_that_would_be_read_as_itself_in_the_end_is_refused(steps):
    for step in range(1, steps):
        read_as(f"name-{step}", f"name-{step + 1}", "another")
    with pytest.raises(ValueError, match=f"'name-{steps}' would be read as itself in the end"):
        read_as(f"name-{steps}", "something", "name-1")
    assert f"name-{steps}" not in {each.name for each in formers()}


def test_two_names_may_be_read_as_one_by_different_ways():
    read_as("oldest", "older", "old")
    read_as("older", "old")
    read_as("old", "new")
    assert len(formers()) == 3
