"""No module imports one that imports it, be it in a roundabout way, within a function, or through a callback."""

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

from tests.architecture.imports import imported, imports, sources

EXTENSION_POINTS = {
    "eventstore.admin.search": "finders.register",
    "eventstore.browsing.chain": "chain.sources.register",
    "eventstore.monitoring.health": "sources.register",
    "eventstore.monitoring.polling": "polling.register",
}
"""Where a lower module keeps functions that higher ones hand it, to be called back: the module, and how it is done."""

DECLARATIONS = {"eventstore.codec", "eventstore.handler_guard"}
"""Where functions are kept that are no way up: the steps of upcasters, and the bells that may be rung on commit."""


def test_no_module_imports_itself_in_a_roundabout_way():
    """`graphlib` names the modules of a circle; imports within functions and under TYPE_CHECKING count."""
    TopologicalSorter(imports()).prepare()


def test_a_circle_is_found_wherever_its_imports_hide(tmp_path):
    hidden = {
        "within a function": "def f():\n    from a import b\n",
        "for a type checker": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a.b\n",
    }
    for name, text in hidden.items():
        path = tmp_path / "c.py"
        path.write_text(text)
        assert set(imported(path, {"a.b": path})) == {"a.b"}, name


def test_functions_are_handed_down_only_at_the_extension_points():
    """A list of functions that a lower module calls is an import of whoever fills it, in disguise."""
    kept = {name for name, path in sources().items() if name.partition(".")[0] in APPS and _keeps_functions(path)}
    assert kept == EXTENSION_POINTS.keys() | DECLARATIONS


def test_an_extension_point_has_more_than_one_app_that_uses_it():
    """With one alone it would be a hidden import of that one."""
    users = defaultdict(set)
    for name, path in sources().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                users[ast.unparse(node.func)].add(name.partition(".")[0])
    assert {point: len(users[point]) > 1 for point in EXTENSION_POINTS.values()} == dict.fromkeys(
        EXTENSION_POINTS.values(), True
    )


def test_no_function_is_put_in_the_place_of_another():
    found = [
        f"{name}: {node.names}"
        for name, path in sources().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Global)
    ]
    assert found == []


APPS = ("eventstore", "projections", "sagas", "ordering", "config")
CONTAINERS = {"list", "dict", "set", "WeakSet", "deque", "defaultdict", "OrderedDict"}


def _keeps_functions(path: Path) -> bool:
    """Whether a module keeps a container of functions for as long as the process lives: at its top level, or in an
    object that is made there.
    """
    tree = ast.parse(path.read_text())
    callables = {"Callable"} | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and _names(node.value) & {"Callable"}
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    callables |= {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(each, ast.AnnAssign) and _names(each.annotation) & callables for each in node.body)
        and any(_names(base) & {"NamedTuple"} for base in node.bases)
    }
    made = {
        node.value.func.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
    }
    lasting = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in made:
            lasting += [each for each in ast.walk(node) if isinstance(each, ast.AnnAssign)]
    return any(_is_container(node.annotation) and _names(node.annotation) & callables for node in lasting)


def _is_container(annotation: ast.expr) -> bool:
    return isinstance(annotation, ast.Subscript) and bool(_names(annotation.value) & CONTAINERS)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
