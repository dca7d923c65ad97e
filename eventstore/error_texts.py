"""What may be kept of an error and shown to staff: never a value, for it may be somebody's.

Messages are left out but for those that can't hold one: our own, and msgspec's of a type that doesn't fit. Of what the
database refused there are the names that it gives.
"""

import re
from traceback import extract_tb

import msgspec
import psycopg

from eventstore.errors import EventstoreError

PLAIN = ("Expected ", "Object missing required field ")
"""How msgspec's own messages begin that name types and fields, and quote nothing."""

PATH = re.compile(r" - at (`[^`]*`)$")
"""How they end where they say which field it is; what they quote ends otherwise."""


def describe(error: BaseException) -> str:
    """What went wrong and where: our own message; of the database its kind, SQLSTATE, table, column and constraint; of
    anything else its kind and place.
    """
    if isinstance(error, EventstoreError):
        return f"{type(error).__name__}: {error}"
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if not isinstance(cause, psycopg.Error) or cause.sqlstate is None:
        return _place(error)
    refused = _refused(cause)
    return refused if cause is error else f"{type(error).__name__}: {refused}"


def misfit(error: Exception) -> str:
    """Why stored JSON can't be read as what it is declared to be, or such a value not be stored."""
    if not isinstance(error, msgspec.ValidationError) or error.__cause__ is not None:
        return _place(error.__cause__ or error)
    if str(error).startswith(PLAIN):
        return str(error)
    field = PATH.search(str(error))
    return f"{type(error).__name__} at {field[1]}" if field else _place(error)


def _refused(error: psycopg.Error) -> str:
    diag = error.diag
    named = {"table": diag.table_name, "column": diag.column_name, "constraint": diag.constraint_name}
    if diag.table_name and diag.schema_name:
        named["table"] = f"{diag.schema_name}.{diag.table_name}"
    names = ", ".join(f"{what} {name}" for what, name in named.items() if name)
    kind = f"{type(error).__name__} ({error.sqlstate})"
    return f"{kind}: {names}" if names else kind


def _place(error: BaseException) -> str:
    kind, frames = type(error).__name__, extract_tb(error.__traceback__)
    return f"{kind} in {frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename}" if frames else kind
