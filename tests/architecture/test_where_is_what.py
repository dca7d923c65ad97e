"""The page that says where is what names files that are there, and describes what they say of themselves."""

import re
from pathlib import Path

BASE_DIR = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (.+) \| `(.+)` \|$", (BASE_DIR / "docs" / "where-is-what.md").read_text(), re.MULTILINE)


def test_every_question_is_answered_by_a_file_of_its_own_that_is_there():
    paths = [path for _, path in ROWS]
    assert len(paths) == len(set(paths)) > 50
    assert [path for path in paths if not (BASE_DIR / path).is_file()] == []


def test_no_question_is_asked_twice_or_names_its_answer():
    questions = [question for question, _ in ROWS]
    assert len(set(questions)) == len(questions)
    assert [question for question, path in ROWS if path in question or Path(path).name in question] == []
