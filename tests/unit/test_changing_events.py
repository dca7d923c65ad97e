"""The page about changing events: each of its examples does what it says."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from eventstore import codec
from eventstore.events import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "changing-events.md"
BLOCKS = re.findall(r"^## (.*?)$.*?^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
(SETTING,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text().partition("\n## ")[0], re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_an_example_is_read_as_the_page_says(title, code, monkeypatch):
    assert "assert read(" in code
    declared, module = [*catalogue], ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.setattr(codec, "_formers", {})
    monkeypatch.setattr(codec, "_upcasters", {})
    try:
        exec(SETTING + code, vars(module))  # noqa: S102 - a page of ours
    finally:
        catalogue.unregister(*(each for each in catalogue if each not in declared))


def test_every_kind_of_change_has_an_example():
    titles = re.findall(r"^\| \[.*?\]\(#(.*?)\) \|", PAGE.read_text(), re.MULTILINE)
    assert [re.sub(r"\W+", "-", title).lower() for title, _ in BLOCKS] == titles
    assert len(titles) == 7
