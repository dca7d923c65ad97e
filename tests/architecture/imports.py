"""Who imports whom, read from the code: at the top of a file, within a function, under TYPE_CHECKING."""

import ast
from collections.abc import Iterator
from pathlib import Path

BASE_DIR = Path(__file__).parents[2]
APPS = ("eventstore", "projections", "sagas", "ordering", "config", "benchmarks")

Graph = dict[str, set[str]]


def sources() -> dict[str, Path]:
    """Every module of the apps, by its dotted name, but for migrations."""
    files = (path for app in APPS for path in (BASE_DIR / app).rglob("*.py") if "migrations" not in path.parts)
    return {_name(path): path for path in files}


def imports() -> Graph:
    """By module: the modules of the apps that it imports anywhere. A package of its own is not among them."""
    modules = sources()
    return {name: set(imported(path, modules)) - {name} for name, path in modules.items()}


def imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in modules:
                    yield inner
                elif node.module in modules:
                    yield node.module


def _name(path: Path) -> str:
    parts = path.relative_to(BASE_DIR).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
