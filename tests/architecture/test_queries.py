"""SQL stands in one module of queries per subsystem, each query with a sentence on what it is for; and the numbers of
advisory locks, which Python and SQL have to agree about, stand in one module.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore import advisory_locks

BASE_DIR = Path(__file__).parent.parent.parent
APPS = ("eventstore", "projections", "sagas")

SOURCES = {
    path.relative_to(BASE_DIR).as_posix(): ast.parse(path.read_text())
    for app in APPS
    for path in sorted((BASE_DIR / app).rglob("*.py"))
    if "migrations" not in path.parts
}
QUERIES = [path for path in SOURCES if path.endswith("/queries.py")]
OF_MIGRATIONS = {"eventstore/migration_operations.py", "projections/migration_operations.py"}

STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|COPY|TRUNCATE|EXISTS|DO|CALL|CREATE|ALTER|DROP|COMMENT|GRANT"
    r"|REVOKE|LOCK|SET|RESET|SHOW|ANALYZE|VACUUM|REINDEX|REFRESH|EXPLAIN|DECLARE|FETCH|LISTEN|NOTIFY|BEGIN|SAVEPOINT"
    r"|ROLLBACK|RELEASE|COMMIT)\b"
)

LOCKS = {name: number for name, number in vars(advisory_locks).items() if name.isupper() and isinstance(number, int)}
IN_SQL = {
    "namespace": "ANNOUNCE",
    "stream_locks": "STREAM",
    "command_locks": "COMMAND",
    "claim_locks": "CLAIM",
    "feeder_lock": "FEEDER",
}
"""What the locks are called in `eventstore/sql`."""


def texts(tree: ast.AST) -> Iterator[tuple[int, int, str]]:
    """Each string with its first and last line; of an f-string the whole, without what is put in."""
    if isinstance(tree, ast.JoinedStr):
        parts = (part.value for part in tree.values if isinstance(part, ast.Constant))
        yield tree.lineno, tree.end_lineno or 0, "".join(map(str, parts))
    elif isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.lineno, tree.end_lineno or 0, tree.value
    else:
        for child in ast.iter_child_nodes(tree):
            yield from texts(child)


def names(path: str) -> list[str]:
    """The queries of a module."""
    return [name for name, _ in described(path)]


def described(path: str) -> Iterator[tuple[str, str]]:
    """Each query of a module, with the text that follows it."""
    body = SOURCES[path].body
    for each, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(each, ast.Assign | ast.AnnAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            told = following.value if isinstance(following, ast.Expr) else None
            text = told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else ""
            for target in targets:
                yield ast.unparse(target), text


def used(path: str) -> set[str]:
    """The queries of a module that other modules use, or other queries of it."""
    package = path.removesuffix("/queries.py").replace("/", ".")
    found = {
        name.id for name in ast.walk(SOURCES[path]) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)
    }
    for other, tree in SOURCES.items():
        if other == path:
            continue
        modules = set()
        for each in ast.walk(tree):
            if isinstance(each, ast.ImportFrom) and each.module == package:
                modules |= {alias.asname or alias.name for alias in each.names if alias.name == "queries"}
            elif isinstance(each, ast.ImportFrom) and each.module == f"{package}.queries":
                found |= {alias.name for alias in each.names}
        found |= {
            each.attr
            for each in ast.walk(tree)
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id in modules
        }
    return found


def test_sql_of_more_than_one_line_stands_in_a_module_of_queries():
    found = [
        f"{path}:{first}"
        for path, tree in SOURCES.items()
        if path not in {*QUERIES, *OF_MIGRATIONS}
        for first, last, text in texts(tree)
        if STATEMENT.match(text) and (last > first or "\n" in text.strip())
    ]
    assert found == []


@pytest.mark.parametrize("path", QUERIES)
def test_each_query_has_a_plain_name_and_a_sentence_on_what_it_is_for(path):
    assert [name for name, text in described(path) if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)] == []
    assert [name for name, text in described(path) if not text.strip().endswith(".")] == []
    assert len(set(names(path))) == len(names(path)) > 0


@pytest.mark.parametrize("path", QUERIES)
def test_each_query_is_used(path):
    assert set(names(path)) - used(path) == set()


@pytest.mark.parametrize("path", QUERIES)
def test_a_module_of_queries_needs_nothing_but_others_of_its_kind(path):
    imports = [each for each in ast.walk(SOURCES[path]) if isinstance(each, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(each) for each in imports if "queries" not in ast.unparse(each)] == []


def test_no_two_advisory_locks_have_the_same_number():
    assert len(set(LOCKS.values())) == len(LOCKS)
    assert all(20_000 <= number < 20_100 for number in LOCKS.values())


def test_sql_takes_the_advisory_locks_that_python_knows():
    newest: dict[str, tuple[int, str]] = {}
    for path in (BASE_DIR / "eventstore" / "sql").glob("*.sql"):
        function, version = path.stem.rsplit("_v", 1)
        newest[function] = max(newest.get(function, (0, "")), (int(version), path.read_text()))
    declared = [
        (name, int(number))
        for _, text in newest.values()
        for name, number in re.findall(r"(\w+) CONSTANT \w+ := (\d+);", text)
    ]
    assert {name for name, _ in declared} == set(IN_SQL)
    assert [(name, number) for name, number in declared if number != LOCKS[IN_SQL[name]]] == []
    numbers = {int(found) for _, text in newest.values() for found in re.findall(r"\b200\d\d\b", text)}
    assert numbers == {number for _, number in declared}


def test_the_number_of_an_advisory_lock_stands_nowhere_else_in_python():
    def tells(node: ast.AST) -> bool:
        if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
            return False
        if isinstance(node.value, int):
            return 20_000 <= node.value < 20_100
        return isinstance(node.value, str) and re.search(r"\b200\d\d\b", node.value) is not None

    found = [
        f"{path}:{getattr(node, 'lineno', 0)}"
        for path, tree in SOURCES.items()
        if path != "eventstore/advisory_locks.py"
        for node in ast.walk(tree)
        if tells(node)
    ]
    assert found == []
