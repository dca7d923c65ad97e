"""The project's modules as they are written: which are its own, what their names are bound to, where a definition is.

Nothing here runs project code but the import of a module that the code itself imports.
"""

import ast
import site
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from threading import RLock
from types import FunctionType, ModuleType
from typing import NamedTuple

from eventstore.errors import UnreadableCode

REUSABLE = frozenset({"eventstore", "projections", "sagas"})
INSTALLED = tuple(
    Path(each) for each in (sysconfig.get_path("purelib"), *site.getsitepackages(), site.getusersitepackages())
)

DefinitionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Imported(NamedTuple):
    """What an import binds a name to: a module, or a name in one."""

    module: str
    name: str | None
    level: int = 0


class External(NamedTuple):
    """Something that isn't the project's, by the dotted name under which the project knows it."""

    name: str


class Global(NamedTuple):
    """A name that one of the project's modules binds otherwise than by an import."""

    source: "Source"
    name: str


Found = External | Global | ModuleType


_parsing = RLock()


def parse(text: str) -> ast.Module:
    """A module, read by one thread at a time: CPython 3.11 counts the depth of what it reads for all threads together,
    and raises `SystemError` where a collection of garbage lets another thread read meanwhile.
    """
    with _parsing:
        return ast.parse(text)


class Source:
    """One module of the project, parsed. Raises `UnreadableCode` when there is no source to parse."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.tree = parse(_text(module))
        # `bindings` make a name, `changes` change the value that it has.
        self.imports: dict[str, list[Imported]] = defaultdict(list)
        self.bindings: dict[str, list[ast.stmt]] = defaultdict(list)
        self.changes: dict[str, list[ast.stmt]] = defaultdict(list)
        for statement in _leaves(self.tree.body):
            for name, imported in bound([statement]).items():
                if imported:
                    self.imports[name].append(imported)
                else:
                    self.bindings[name].append(statement)
            for name in _changed(statement):
                self.changes[name].append(statement)

    def statements(self, name: str) -> list[ast.stmt]:
        """What makes the value of a name at the top level of the module."""
        made, changed = self.bindings.get(name, []), self.changes.get(name, [])
        return [*made, *(each for each in changed if each not in made)]

    def definitions(self, thing: type | FunctionType) -> Sequence[DefinitionNode | ast.Lambda]:
        """Where a class or a function is written down; of lambdas all that begin in that line."""
        if isinstance(thing, FunctionType) and thing.__name__ == "<lambda>":
            line = thing.__code__.co_firstlineno
            return [node for node in ast.walk(self.tree) if isinstance(node, ast.Lambda) and node.lineno == line]
        found: Sequence[ast.AST] = [self.tree]
        for part in thing.__qualname__.replace(".<locals>", "").split("."):
            bodies = (statement for node in found for statement in getattr(node, "body", ()))
            found = [each for each in _leaves(bodies) if isinstance(each, DefinitionNode) and each.name == part]
        return [each for each in found if isinstance(each, DefinitionNode)]

    def classes(self, declared: type) -> list[ast.ClassDef]:
        """Where a class is written down."""
        return [node for node in self.definitions(declared) if isinstance(node, ast.ClassDef)]


class Project:
    """Finds what names stand for, across the modules of one project.

    Its own is what belongs neither to the standard library, nor to an installed distribution, nor to the reusable
    apps; the package `home` always is.
    """

    def __init__(self, home: str) -> None:
        self._home = home

    def owns(self, module: str) -> bool:
        top = module.partition(".")[0]
        return top == self._home or _is_own(top)

    def source(self, module: str) -> Source:
        return _source(import_module(module))

    def find(self, source: Source, name: str) -> Found | None:
        """What a module's global name stands for; nothing for a builtin, or what the module has from Python itself."""
        if name in source.bindings:
            return Global(source, name)
        if name in source.imports:
            return self.follow(source.imports[name][0], source)
        for star in source.imports.get("*", ()):
            if name in vars(import_module(_absolute(star, source))):
                return self.follow(star._replace(name=name), source)
        value = vars(source.module).get(name)
        if isinstance(value, ModuleType):
            return self._module(value.__name__)
        return Global(source, name) if value is not None and not name.startswith("__") else None

    def follow(self, imported: Imported, source: Source) -> Found:
        """What an import leads to; through the project's own modules to where it is made."""
        module = _absolute(imported, source)
        found = self._module(module)
        return found if imported.name is None else self.member(found, imported.name)

    def member(self, found: External | ModuleType, name: str) -> Found:
        """What an attribute of a module stands for."""
        if isinstance(found, External):
            return External(f"{found.name}.{name}")
        return self.find(_source(found), name) or self._module(f"{found.__name__}.{name}")

    def _module(self, name: str) -> External | ModuleType:
        if not self.owns(name):
            return External(name)
        try:
            return import_module(name)
        except ImportError:
            return External(name)


def bound(body: Iterable[ast.AST]) -> dict[str, Imported | None]:
    """The names that these statements bind in their own scope, with what is imported under them."""
    names: dict[str, Imported | None] = {}
    elsewhere: set[str] = set()
    for node in _scope(body):
        match node:
            case ast.Global(names=others) | ast.Nonlocal(names=others):
                elsewhere.update(others)
            case ast.Import() | ast.ImportFrom():
                names.update(_imports(node))
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names[name] = None
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names[name] = None
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names[name] = None
            case ast.MatchMapping(rest=str(name)):
                names[name] = None
    return {name: imported for name, imported in names.items() if name not in elsewhere}


def _scope(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of one scope: what is defined in it has scopes of its own."""
    for node in body:
        yield node
        if isinstance(node, Comprehension):
            yield from (each.target for each in ast.walk(node) if isinstance(each, ast.NamedExpr))
        elif not isinstance(node, DefinitionNode | ast.Lambda):
            yield from _scope(ast.iter_child_nodes(node))


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Imported]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Imported(node.module or "", alias.name, node.level)
        elif alias.asname:
            yield alias.asname, Imported(alias.name, None)
        else:
            yield alias.name.partition(".")[0], Imported(alias.name.partition(".")[0], None)


def _leaves(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, also those that stand under a condition."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.TryStar):
            handlers = [each for handler in getattr(statement, "handlers", ()) for each in handler.body]
            yield from _leaves([*statement.body, *handlers, *statement.orelse, *getattr(statement, "finalbody", ())])
        else:
            yield statement


def _changed(statement: ast.stmt) -> Iterator[str]:
    """The names whose values a statement changes in place: `NAME[key] = …`, `NAME.attribute = …`, `NAME.method(…)`."""
    match statement:
        case ast.Assign(targets=targets):
            changed: list[ast.expr] = targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            changed = [target]
        case ast.Expr(value=ast.Call(func=ast.Attribute() as called)):
            changed = [called]
        case _:
            changed = []
    for each in changed:
        root = _root(each)
        if isinstance(root, ast.Name):
            yield root.id


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node


def _absolute(imported: Imported, source: Source) -> str:
    if not imported.level:
        return imported.module
    return resolve_name("." * imported.level + imported.module, source.module.__package__ or "")


@cache
def _source(module: ModuleType) -> Source:
    return Source(module)


@cache
def _is_own(top: str) -> bool:
    if top in REUSABLE or top in sys.stdlib_module_names:
        return False
    try:
        module = import_module(top)
    except ImportError:
        return False
    where = [module.__file__] if getattr(module, "__file__", None) else list(getattr(module, "__path__", ()))
    return bool(where) and not any(Path(str(each)).is_relative_to(path) for each in where for path in INSTALLED)


def _text(module: ModuleType) -> str:
    get_source = getattr(getattr(module.__spec__, "loader", None), "get_source", None)
    try:
        text = get_source(module.__name__) if get_source else None
    except (ImportError, OSError, SyntaxError) as error:
        raise UnreadableCode(f"The source of {module.__name__} can't be read: {error}") from error
    if text is None:
        raise UnreadableCode(f"The source of {module.__name__} is not there.")
    return str(text)
