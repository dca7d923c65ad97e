"""What the pages say can be held against the code: names, links, lines, variables, checks."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS

BASE_DIR = Path(__file__).parents[2]
PAGES = [*sorted(BASE_DIR.glob("*.md")), *sorted((BASE_DIR / "docs").rglob("*.md"))]
RUN = {"tutorial.md"}
"""Pages about a project that isn't here; tests run what they show."""

DECLARATIONS = 5
LONGEST = 20
LONGEST_PROGRAM = 40

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(BASE_DIR)))


def blocks(page: Path, heading: str = "") -> list[str]:
    """The Python in a page, or in its section under a heading."""
    text = page.read_text()
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^ *```python\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def headings(page: Path) -> set[str]:
    """As links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", [page for page in PAGES if page.name not in RUN], ids=lambda path: path.name)
def test_python_in_a_page_compiles_and_imports_what_exists(path):
    for block in blocks(path):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []
            elif isinstance(node, ast.Import):
                assert [import_module(name.name) for name in node.names]


def test_the_declarations_in_the_readme_are_lines_of_the_code():
    code = {line.strip() for path in (BASE_DIR / "ordering").rglob("*.py") for line in path.read_text().splitlines()}
    shown = blocks(BASE_DIR / "README.md", "Five declarations")
    assert len(shown) == DECLARATIONS
    for block in shown:
        lines = [line for line in block.splitlines() if line]
        assert len(lines) <= LONGEST
        assert [line for line in lines if line.strip() not in code and not line.startswith("from ")] == []


def test_the_smallest_program_in_the_readme_is_one_block_and_short():
    (program,) = blocks(BASE_DIR / "README.md", "The smallest program")
    assert len([line for line in program.splitlines() if line]) <= LONGEST_PROGRAM
    assert len(blocks(BASE_DIR / "README.md")) == 1 + DECLARATIONS


@each_page
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_picture_is_shown_by_a_page_and_taken_by_a_test():
    kept = {path.stem for path in (BASE_DIR / "docs" / "images").glob("*.png")}
    shown = {name for path in PAGES for name in re.findall(r"\]\([\w/]*images/([\w-]+)\.png\)", path.read_text())}
    tests = "".join(path.read_text() for path in (BASE_DIR / "tests" / "browser").glob("test_*.py"))
    assert kept == shown == set(re.findall(r'(?:camera\.take\(|picture=)"([\w-]+)"', tests))


def test_every_variable_of_the_environment_is_explained():
    sources = "".join((BASE_DIR / "config" / name).read_text() for name in ("settings.py", "run.py", "prepare.py"))
    read = set(re.findall(r"""(?:env\.\w+|environ\.get|_database)\(\s*"([A-Z_]+)\"""", sources))
    assert len(read) > 30
    page = (BASE_DIR / "docs" / "operating.md").read_text()
    assert {name for name in read if f"`{name}`" not in page} == set()


def test_every_system_check_is_explained():
    apps = ("eventstore", "projections", "sagas", "ordering")
    sources = "".join((BASE_DIR / app / "checks.py").read_text() for app in apps)
    raised = set(re.findall(rf'"((?:{"|".join(apps)})\.[EW]\d+)"', sources))
    page = (BASE_DIR / "docs" / "extending.md").read_text()
    told = set()
    for app, letter, first, last in re.findall(r"`(\w+)\.([EW])(\d+)`(?:(?:–|, )`E(\d+)`)?", page):
        told |= {f"{app}.{letter}{number:03}" for number in range(int(first), int(last or first) + 1)}
    assert raised == told


def test_every_benchmark_is_explained_and_with_it_a_figure_that_has_a_target():
    page = (BASE_DIR / "docs" / "performance.md").read_text()
    rows = re.findall(r"^\| .* \| `python -m benchmarks (\w+).*?` \| (.*) \|$", page, re.MULTILINE)
    assert {name for name, _ in rows} == BENCHMARKS.keys()
    assert set(re.findall(r"python -m benchmarks (\w+)", page)) == BENCHMARKS.keys()
    for name in BENCHMARKS:
        targets = import_module(f"benchmarks.{name}").TARGETS
        told = {figure for each, figures in rows if each == name for figure in re.findall(r"`(\w+)`", figures)}
        assert told & targets.keys(), name
