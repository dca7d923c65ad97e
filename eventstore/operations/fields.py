"""What an operation asks for, read from its fields, so that any front end can ask for it: a form, a command line."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from eventstore.errors import Refused
from eventstore.operations.base import Operation

O = TypeVar("O", bound=Operation)  # noqa: E741 - an operation

_KINDS: dict[type[inspect.Type], type] = {
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.BoolType: bool,
    inspect.DateTimeType: datetime,
}


class OperationField(NamedTuple):
    """One field: of which kind its value is, or its values if it takes `many`: int, float, bool, a time, else text."""

    name: str
    title: str
    description: str
    kind: type
    many: bool
    required: bool


def operation_fields(kind: type[Operation]) -> list[OperationField]:
    """What has to be said, or may be said, beside the target."""
    struct = inspect.type_info(kind)
    assert isinstance(struct, inspect.StructType)
    return [_asked(field) for field in struct.fields if field.name != "target"]


def make_operation(kind: type[O], target: str, values: Mapping[str, Any]) -> O:
    """The operation with these values; what is left empty has its default. Raises `Refused` for what doesn't fit."""
    said = {name: value for name, value in values.items() if value is not None and value not in ("", ())}
    try:
        return msgspec.convert({"target": target, **said}, kind)
    except msgspec.ValidationError as error:
        raise Refused(str(error)) from error


def _asked(field: inspect.Field) -> OperationField:
    shape, told = _bare(field.type)
    many = isinstance(shape, inspect.VarTupleType)
    if isinstance(shape, inspect.VarTupleType):
        shape, _ = _bare(shape.item_type)
    return OperationField(
        name=field.name,
        title=told.get("title", field.name.replace("_", " ")),
        description=told.get("description", ""),
        kind=_KINDS.get(type(shape), str),
        many=many,
        required=field.required,
    )


def _bare(shape: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """A type without its annotations and without None, and what the annotations tell."""
    if isinstance(shape, inspect.Metadata):
        inner, told = _bare(shape.type)
        return inner, {**told, **(shape.extra_json_schema or {})}
    if isinstance(shape, inspect.UnionType):
        (one, *_) = (each for each in shape.types if not isinstance(each, inspect.NoneType))
        return _bare(one)
    return shape, {}
