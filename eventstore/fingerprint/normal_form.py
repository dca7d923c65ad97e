"""Code as nested lists that are the same for the same meaning, on every version of Python.

Left out are comments, docstrings, annotations of functions and variables, the order of methods, and whatever only says
where something stands. (`ast.dump` and `ast.unparse` differ from one version of Python to the next.)
"""

import ast
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple, Protocol

from eventstore.fingerprint.name_resolution import Comprehension, Imported, bound

Form = None | str | int | Sequence["Form"]
Locals = Mapping[str, Imported | None]

SILENT = frozenset({"ctx", "kind", "type_comment", "type_params"})


class Scope(NamedTuple):
    """The local names that an expression sees, and those that functions defined beside it see."""

    here: Locals = {}
    inside: Locals = {}


MODULE = Scope()


class Names(Protocol):
    """Knows what stands behind the names that code uses."""

    def read(self, name: str, attributes: Sequence[str], imported: Imported | None) -> Form:
        """A name that is no local variable, followed by attributes; `imported` when its function imports it."""

    def uses(self, attribute: str) -> None:
        """An attribute of a value is used."""


class Writer:
    """Writes down the code of one definition, with whatever its names stand for."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def write(self, node: ast.AST, scope: Scope = MODULE) -> Form:
        form: Form
        match node:
            case ast.Constant():
                form = constant(node.value)
            case ast.Name() | ast.Attribute():
                form = self._name(node, scope)
            case ast.JoinedStr():
                form = ["JoinedStr", *self._text(node, scope)]
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                form = self._function(node, scope)
            case ast.ClassDef():
                form = self.write_class(node, scope)
            case ast.AnnAssign():
                form = [
                    "Assign",
                    ["targets", [self.write(node.target, scope)]],
                    ["value", self._any(node.value, scope)],
                ]
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                form = self._plainly(node, _comprehended(node, scope))
            case _:
                form = self._plainly(node, scope)
        return form

    def write_class(
        self,
        node: ast.ClassDef,
        scope: Scope = MODULE,
        *,
        annotated: bool = True,
        without: Collection[str | None] = (),
    ) -> Form:
        """A class whose annotations declare fields, or don't; `without` are keywords that don't count."""
        body = class_scope(node, scope)
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign) and annotated]
        members = [each for each in node.body if each in fields or not _says_nothing(each)]
        methods = [each for each in members if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        return [
            "ClassDef",
            node.name,
            self._all(node.decorator_list, scope),
            self._all(node.bases, scope),
            [[each.arg, self.write(each.value, scope)] for each in node.keywords if each.arg not in without],
            [self.write(each, body) for each in sorted(methods, key=lambda method: method.name)],
            [
                [self.write(each.annotation, body), self.write(each, body)]
                if isinstance(each, ast.AnnAssign) and each in fields
                else self.write(each, body)
                for each in members
                if each not in methods
            ],
        ]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> Form:
        statements = [node.body] if isinstance(node, ast.Lambda) else node.body
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        own = {**scope.inside, **dict.fromkeys(each.arg for each in every if each), **_bound_in(node)}
        return [
            type(node).__name__,
            getattr(node, "name", None),
            self._all(getattr(node, "decorator_list", ()), scope),
            [[each.arg for each in each_kind] for each_kind in (arguments.posonlyargs, arguments.args)],
            [each.arg for each in arguments.kwonlyargs],
            [each.arg if each else None for each in (arguments.vararg, arguments.kwarg)],
            self._all(arguments.defaults, scope),
            self._all(arguments.kw_defaults, scope),
            self._all(statements, Scope(own, own)),
        ]

    def _name(self, node: ast.Name | ast.Attribute, scope: Scope) -> Form:
        first: ast.expr = node
        attributes: list[str] = []
        while isinstance(first, ast.Attribute):
            attributes.insert(0, first.attr)
            first = first.value
        if isinstance(first, ast.Name) and (first.id not in scope.here or scope.here[first.id]):
            return self._names.read(first.id, attributes, scope.here.get(first.id))
        form = ["Name", first.id] if isinstance(first, ast.Name) else self.write(first, scope)
        return attributed(form, attributes, self._names)

    def _text(self, node: ast.JoinedStr, scope: Scope) -> list[Form]:
        """The parts of an f-string. How its text is cut into constants is up to the version of Python."""
        parts: list[Form] = []
        text = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
                continue
            parts += [text, self.write(part, scope)]
            text = ""
        return [*parts, text]

    def _plainly(self, node: ast.AST, scope: Scope) -> Form:
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in SILENT)
        written = ([name, self._any(value, scope)] for name, value in fields if value is not None and value != [])
        return [type(node).__name__, *written]

    def _any(self, value: object, scope: Scope) -> Form:
        match value:
            case ast.AST():
                return self.write(value, scope)
            case list():
                return self._all(value, scope)
            case None | str() | int():
                return value
        return constant(value)

    def _all(self, values: Iterable[object], scope: Scope) -> list[Form]:
        return [self._any(each, scope) for each in values if not _says_nothing(each)]


def constant(value: object) -> Form:
    return [type(value).__name__, ascii(value)]


def attributed(form: Form, attributes: Iterable[str], names: Names) -> Form:
    for attribute in attributes:
        names.uses(attribute)
        form = ["Attribute", form, attribute]
    return form


def as_text(form: Form) -> str:
    return json.dumps(form, separators=(",", ":"))


def is_display(statement: ast.stmt) -> bool:
    """Whether a name is bound to a dict, list or set that is written out."""
    return isinstance(getattr(statement, "value", None), ast.Dict | ast.List | ast.Set)


@cache
def members(node: ast.ClassDef) -> list[tuple[str, ast.stmt]]:
    """The names that the body of a class binds, besides classes, each with its statement."""
    statements = [each for each in node.body if not isinstance(each, ast.ClassDef)]
    return [(name, statement) for statement in statements for name in bound([statement])]


def class_scope(node: ast.ClassDef, scope: Scope = MODULE) -> Scope:
    """What the body of a class sees; its methods don't see the names that it binds."""
    return Scope({**scope.inside, **_bound_in(node)}, scope.inside)


@cache
def _bound_in(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Locals:
    """The names that a body binds. Found once a process, since whatever refers to a definition asks anew."""
    return bound([node.body] if isinstance(node, ast.Lambda) else node.body)


def _comprehended(node: Comprehension, scope: Scope) -> Scope:
    targets = bound(each.target for each in node.generators)
    return Scope({**scope.here, **targets}, {**scope.inside, **targets})


def _says_nothing(node: object) -> bool:
    """Docstrings and the like, and imports, which count where what they bring is used."""
    match node:
        case ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
            return True
    return False
