"""Reads what code depends on: definitions of the project, the values of its constants, schemas and fields."""

import enum
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from inspect import unwrap
from types import FunctionType, MethodType, ModuleType, NoneType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import models
from msgspec import NODEFAULT, UnsetType, inspect

from eventstore.codec import Former, formers, steps_of, stored_names, upcasters_of
from eventstore.errors import UnreadableCode
from eventstore.events import Event
from eventstore.fingerprint.name_resolution import External, Found, Global, Imported, Project, Source
from eventstore.fingerprint.normal_form import (
    Form,
    Writer,
    as_text,
    attributed,
    class_scope,
    constant,
    is_display,
    members,
)

ATOMS = {NoneType, bool, int, float, complex, str, bytes, Decimal, date, datetime, time, timedelta, UUID, UnsetType}
NOT_FOLDED = {"name", "version", "mode", "uses"}
NOT_STORED = {
    *("verbose_name", "help_text", "choices", "blank", "editable", "serialize", "validators", "error_messages"),
    *("db_index", "db_comment", "db_tablespace", "unique", "unique_for_date", "unique_for_month", "unique_for_year"),
}
FIELDS_ARE_ANNOTATIONS = ("__dataclass_fields__", "__attrs_attrs__", "__required_keys__", "_fields")


class Member(NamedTuple):
    """What the body of a class binds to a name."""

    name: str
    write: Callable[[], Form]


class Reader:
    """Writes down each definition once, under a number, in the order in which they are met.

    Of classes derived from `base`, if one is said, what is declared beside the handlers, such as the version, is left
    out.
    """

    def __init__(self, project: Project, base: type[Any] | None = None) -> None:
        self.project, self._base = project, base
        self.used: set[str] = set()
        self._numbers: dict[object, int] = {}
        self._met: list[Callable[[], Form]] = []
        self._unused: list[Member] = []

    def definitions(self) -> list[Form]:
        """Everything that was met so far, and whatever is met on the way."""
        written: list[Form] = []
        while len(written) < len(self._met) or self._meet_used():
            written.append(self._met[len(written)]())
        return written

    def value(self, value: Any) -> Form:
        """What a value is. Raises `UnreadableCode`."""
        form = self._plain(value) or self._defined(value)
        if form is None:
            raise UnreadableCode(f"{value!r} can't be read: give it a name at the top level of a module.")
        return form

    def hint(self, hint: Any) -> Form:
        """What a type is that values are converted to. Raises `UnreadableCode`."""
        return self._part(inspect.type_info(hint))

    def found(self, found: Found, attributes: Sequence[str] = ()) -> Form:
        """What a name stands for, followed by attributes."""
        rest = list(attributes)
        while rest and not isinstance(found, Global):
            found = self.project.member(found, rest.pop(0))
        match found:
            case External():
                return ["external", found.name]
            case ModuleType():
                return ["module", found.__name__]
        value = vars(found.source.module).get(found.name)
        inner: Any = value
        while rest and (nested := _nested(inner, rest[0])) is not None:
            inner = nested
            rest.pop(0)
        form = self._global(found, value) if inner is value else self.value(inner)
        return attributed(form, rest, DefinitionNames(self, found.source))

    def _global(self, found: Global, value: object) -> Form:
        """A name of a module: the value of a constant, else how it is made.

        What a display makes is mutable and may be filled by running code, so its value now is by chance.
        """
        statements = found.source.statements(found.name)
        if not any(is_display(each) for each in statements) and (form := self._plain(value)):
            return form
        if isinstance(value, type) and self.project.owns(value.__module__) and (form := self._defined(value)):
            return form
        if not statements:
            raise UnreadableCode(f"{found.source.module.__name__}.{found.name} can't be read: no statement makes it.")
        write = Writer(DefinitionNames(self, found.source)).write
        return self._refer((found.source.module, found.name), lambda: [write(each) for each in statements])

    def _plain(self, value: Any) -> Form:
        """A value that says all of itself; None for any other."""
        match value:
            case enum.Enum():
                return self._enum_member(value)
            case msgspec.Struct():
                return ["struct", self.value(type(value)), self._all_plain(msgspec.structs.astuple(value))]
            case re.Pattern():
                return ["pattern", constant(value.pattern), value.flags]
        kind = type(value)
        if kind in ATOMS:
            return constant(value)
        if kind not in (tuple, list, set, frozenset, dict):
            return None
        parts = self._all_plain([part for item in value.items() for part in item] if kind is dict else value)
        if parts is not None and kind in (set, frozenset):
            parts = sorted(parts, key=as_text)
        return None if parts is None else [kind.__name__, parts]

    def _all_plain(self, values: Iterable[Any]) -> list[Form] | None:
        parts = [self._plain(each) for each in values]
        return None if None in parts else parts

    def _defined(self, value: Any) -> Form:
        """A class or a function, by its definition; None when there is none."""
        value = value.__func__ if isinstance(value, MethodType) else unwrap(value) if callable(value) else value
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            return self._refer(value, lambda: self._struct(value))
        if isinstance(value, type | FunctionType) and self.project.owns(value.__module__):
            return self._own(value)
        return ["external", value.__qualname__] if hasattr(value, "__qualname__") else None

    def _own(self, value: type | FunctionType) -> Form:
        source = self.project.source(value.__module__)
        if isinstance(value, FunctionType) and value.__qualname__ in source.bindings:
            return self._global(Global(source, value.__qualname__), value)
        if isinstance(value, type) and issubclass(value, models.Model):
            return self._refer(value, lambda: self._model(value))
        if not source.definitions(value):
            return None
        if isinstance(value, type) and issubclass(value, enum.Enum):
            return self._refer(value, lambda: self._enum(value))
        return self._refer(value, lambda: self._code(value, source))

    def _code(self, value: type | FunctionType, source: Source) -> Form:
        writer = Writer(DefinitionNames(self, source, _closure(value)))
        if isinstance(value, FunctionType):
            return [writer.write(node) for node in source.definitions(value)]
        annotated = any(hasattr(value, mark) for mark in FIELDS_ARE_ANNOTATIONS)
        declaring = self._base is not None and issubclass(value, self._base)
        without: Collection[str | None] = NOT_FOLDED if declaring else ()
        return [writer.write_class(node, annotated=annotated, without=without) for node in source.classes(value)]

    def _enum(self, declared: type[enum.Enum]) -> Form:
        values = [[name, self._plain(member.value)] for name, member in declared.__members__.items()]
        return ["enum", values, [[name, write()] for name, write in self._behaviour(declared)]]

    def _enum_member(self, member: enum.Enum) -> Form:
        """Its value; also its class when that has methods, which may be called on it."""
        kind = type(member)
        plain = self._plain(member.value)
        whole = self._defined(kind) if plain is None or any(self._behaviour(kind)) else None
        return ["member", member.name, plain, whole]

    def _behaviour(self, declared: type[enum.Enum]) -> list[Member]:
        return [each for each in self._members(declared) if each.name not in declared.__members__]

    def _struct(self, declared: type[msgspec.Struct]) -> Form:
        """A struct, or an event with its upcasters. Of its methods those count that Python calls, or that are used."""
        info = inspect.type_info(declared)
        assert isinstance(info, inspect.StructType)
        members = [each for each in self._members(declared) if each.name not in declared.__struct_fields__]
        special = [[name, write()] for name, write in members if name.startswith("__")]
        self._unused += [each for each in members if not each.name.startswith("__")]
        stored: list[Form] = []
        if issubclass(declared, Event):
            steps = [[version, self.value(step)] for version, step in upcasters_of(declared).items()]
            stored = [declared.stored, declared.schema, steps]
            names = stored_names(declared) - {declared.stored}
            if names:
                stored.append([self._former(each) for each in formers() if each.name in names])
        return ["struct", stored, self._parts(info, besides={"cls"}), special]

    def _former(self, past: Former) -> Form:
        """A name that an event was once stored under, and how what is stored there is read."""
        steps = [[version, self.value(step)] for version, step in steps_of(past).items()]
        return [past.name, past.version, sorted(past.into.items()), steps, self.value(past.reading)]

    def _model(self, declared: type[models.Model]) -> Form:
        """A table's concrete fields. Of what else its class has, that counts which is used."""
        fields = sorted(declared._meta.concrete_fields, key=lambda field: field.name)
        names = {name for field in declared._meta.get_fields() for name in (field.name, getattr(field, "attname", ""))}
        self._unused += [each for each in self._members(declared) if each.name not in names]
        return ["model", [self._field(field) for field in fields]]

    def _field(self, field: Any) -> Form:
        _, _, _, options = field.deconstruct()
        stored = [[name, self._option(option)] for name, option in sorted(options.items()) if name not in NOT_STORED]
        return [field.name, field.column, type(field).__name__, stored]

    def _option(self, option: Any) -> Form:
        if isinstance(option, list | tuple):
            return [self._option(each) for each in option]
        if not hasattr(option, "deconstruct"):
            return self.value(option)
        path, arguments, options = option.deconstruct()
        return [path, self._option(arguments), [[name, self._option(each)] for name, each in sorted(options.items())]]

    def _parts(self, kind: msgspec.Struct, besides: Collection[str] = ()) -> list[Form]:
        """What msgspec knows of a type; what says nothing is left out, for other versions may know more of it."""
        parts = [(name, getattr(kind, name)) for name in kind.__struct_fields__ if name not in besides]
        return [[name, self._part(part)] for name, part in parts if not _is_absent(name, part)]

    def _part(self, part: Any) -> Form:
        form: Form
        match part:
            case inspect.Metadata():
                form = self._part(part.type)
            case inspect.UnionType():
                # Equal unions may be one object, so their order is up to who wrote his first.
                form = ["UnionType", [self._part(each) for each in sorted(part.types, key=_name_of)]]
            case inspect.StructType() | inspect.EnumType() | inspect.CustomType():
                form = [type(part).__name__, self.value(part.cls)]
            case inspect.DataclassType() | inspect.NamedTupleType() | inspect.TypedDictType():
                # It may contain itself, so it is referred to.
                fields = self._refer((part.cls, "fields"), lambda: self._parts(part, besides={"cls"}))
                form = [type(part).__name__, fields, self.value(part.cls)]
            case inspect.Type() | inspect.Field():
                form = [type(part).__name__, *self._parts(part)]
            case tuple():
                form = [self._part(each) for each in part]
            case _:
                form = self.value(part)
        return form

    def _members(self, declared: type) -> Iterator[Member]:
        """What a class and its bases bind in the project, besides the classes within them."""
        for each in declared.__mro__:
            if self.project.owns(each.__module__):
                source = self.project.source(each.__module__)
                writer = Writer(DefinitionNames(self, source, _closure(each)))
                for node in source.classes(each):
                    scope = class_scope(node)
                    for name, statement in members(node):
                        yield Member(name, partial(writer.write, statement, scope))

    def _refer(self, key: object, write: Callable[[], Form]) -> Form:
        if key not in self._numbers:
            self._numbers[key] = len(self._met)
            self._met.append(write)
        return ["ref", self._numbers[key]]

    def _meet_used(self) -> bool:
        """Take up the members whose names are used by now; False when there are none."""
        used = [each for each in self._unused if each.name in self.used]
        self._unused = [each for each in self._unused if each.name not in self.used]
        self._met += [each.write for each in used]
        return bool(used)


class DefinitionNames:
    """What the names in one definition stand for."""

    def __init__(self, reader: Reader, source: Source, closure: Mapping[str, Any] | None = None) -> None:
        self._reader, self._source, self._closure = reader, source, closure or {}

    def read(self, name: str, attributes: Sequence[str], imported: Imported | None) -> Form:
        project = self._reader.project
        if imported:
            return self._reader.found(project.follow(imported, self._source), attributes)
        if name in self._closure:
            return attributed(self._reader.value(self._closure[name]), attributes, self)
        found = project.find(self._source, name)
        return self._reader.found(found, attributes) if found else attributed(["Name", name], attributes, self)

    def uses(self, attribute: str) -> None:
        self._reader.used.add(attribute)


def _nested(value: Any, name: str) -> Any:
    """A member of an enum, or a class within a class; None for any other attribute."""
    if not isinstance(value, type):
        return None
    if issubclass(value, enum.Enum):
        return value.__members__.get(name)
    inner = vars(value).get(name)
    return inner if isinstance(inner, type) and inner.__qualname__ == f"{value.__qualname__}.{name}" else None


def _closure(value: type | FunctionType) -> dict[str, Any]:
    """The values that a function, or the methods of a class, have of the functions around them."""
    functions = [value] if isinstance(value, FunctionType) else vars(value).values()
    cells = {
        name: cell
        for function in functions
        if isinstance(function, FunctionType)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    }
    return {name: cell.cell_contents for name, cell in cells.items() if name != "__class__"}


def _is_absent(name: str, part: Any) -> bool:
    return part is NODEFAULT or part is False or part == () or (part is None and name != "default")


def _name_of(kind: inspect.Type) -> tuple[str, str]:
    return type(kind).__name__, getattr(getattr(kind, "cls", None), "__qualname__", "")
