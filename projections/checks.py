"""What would make a read table impossible to fold again or to swap, or its code another, judged at start-up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DEFAULT_DB_ALIAS, connections, models

from eventstore.conf import faults
from eventstore.errors import UnreadableCode
from projections import code_changes, conf
from projections.code_changes import ChangeKind, CodeChange
from projections.errors import UnreadableLock
from projections.fingerprint import lockfile
from projections.models import ReadModel
from projections.projection import Projection
from projections.rebuild.dependents import dependents


@register()
def projections(**_: Any) -> list[CheckMessage]:
    declared = code_changes.declared()
    found = [message for projection in declared for message in (*_handlers(projection), *_table(projection))]
    writers = {projection.model: projection.name for projection in declared}
    found.extend(message for projection in declared for message in _look_ups(projection, writers))
    for model, count in Counter(projection.model for projection in declared).items():
        if count > 1:
            found.append(Error(f"{count} projections write {model.__name__}.", id="projections.E001"))
    return found


@register()
def locked(**_: Any) -> list[CheckMessage]:
    """The code of each projection is that of its version in the lock file."""
    file = lockfile.path()
    if file is None:
        return []
    try:
        return [_difference(each, file.name) for each in code_changes.compare(lockfile.read())]
    except UnreadableCode as error:
        return [Error(str(error), id="projections.E011")]
    except UnreadableLock as error:
        return [Error(str(error), hint="Restore it from version control.", id="projections.E012")]


@register()
def configured(**_: Any) -> list[CheckMessage]:
    """Each setting has a value that it can have."""
    return [Error(fault, id="projections.E015") for fault in faults(conf.SETTINGS)]


@register(Tags.database)
def schema(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Read tables are made where the setting says: a swap would look for them in vain."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return []
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (found,) = cursor.fetchone()
    if found == conf.SCHEMA.get():
        return []
    hint = f"Set {conf.SCHEMA.name} to the schema that the search_path of your connections begins with."
    return [Error(f"Tables are made in the schema {found}, not {conf.SCHEMA.get()}.", hint=hint, id="projections.E016")]


@register(Tags.database)
def swappable(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Nothing in the database hangs on a read table."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return []
    return [
        Error(f"The table of {projection.name} has a {found}: it can't be swapped.", id="projections.E014")
        for projection in code_changes.declared()
        for found in dependents(projection)
    ]


def _difference(difference: CodeChange, file: str) -> CheckMessage:
    name, change = difference.name, difference.change
    if change is ChangeKind.CODE:
        hint = (
            f"Raise its version, run `manage.py projections lock` and commit {file}; deploy, then rebuild {name}. "
            f"If it folds the same rows as before, run `manage.py projections lock --same {name}` instead."
        )
        return Error(f"{name} {change}.", hint=hint, id="projections.E008")
    identity = "projections.E010" if change is ChangeKind.GONE else "projections.E009"
    hint = f"Run `manage.py projections lock` and commit {file}."
    return Error(f"{name} {change}.", hint=hint, id=identity)


def _handlers(projection: Projection[Any]) -> Iterable[CheckMessage]:
    if not projection.handlers:
        yield Error(f"{projection.name} wants no event.", id="projections.E002")
    for event, count in Counter(handler.event for handler in projection.declared_handlers()).items():
        if count > 1:
            yield Error(f"{projection.name} has {count} handlers of {event.__name__}.", id="projections.E003")
    for handler in projection.handlers.values():
        if isinstance(handler.key, str) and handler.key not in handler.event.__struct_fields__:
            yield Error(
                f"{projection.name}: {handler.key!r} is no field of {handler.event.__name__}.", id="projections.E004"
            )


def _look_ups(projection: Projection[Any], writers: Mapping[type[ReadModel], str]) -> Iterable[CheckMessage]:
    """Rows are only looked up of those that are never behind."""
    for needed in {handler.look_up.model for handler in projection.handlers.values() if handler.look_up}:
        writer = writers.get(needed, "no projection")
        if writer not in projection.uses:
            yield Error(
                f"{projection.name} looks up {needed.__name__}, which {writer} writes, and does not use that.",
                id="projections.E013",
            )


def _table(projection: Projection[Any]) -> Iterable[CheckMessage]:
    model = projection.model
    if not issubclass(model, ReadModel):
        yield Error(f"{model.__name__} is no ReadModel.", id="projections.E005")
    if isinstance(model._meta.pk, models.AutoField):
        yield Error(f"{model.__name__} has no natural key.", id="projections.E006")
    for field in model._meta.get_fields():
        problem = _problem(field)
        if problem:
            yield Error(f"{model.__name__}.{field.name} {problem}.", id="projections.E007")


def _problem(field: Any) -> str | None:
    if field.is_relation:
        return "is a relation: a read table can't be swapped under a foreign key"
    if isinstance(field, models.GeneratedField):
        return "is generated by the database"
    if isinstance(field, models.BinaryField):
        return "is binary, which the fold can't write"
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return "takes the time from the clock instead of the event"
    return None
