"""What a type checker can't see about the declarations, judged at start-up."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string
from msgspec import inspect

from eventstore import conf, database, queries, repository, store
from eventstore.codec import formers, missing_upcasters
from eventstore.commands import routes
from eventstore.errors import UnreadableFile
from eventstore.event_types import changes, lockfile
from eventstore.event_types.changes import Change
from eventstore.events import catalogue
from eventstore.monitoring.notifications import active_notifiers
from eventstore.roles import owner_alias
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode


@register()
def values(**_: Any) -> list[CheckMessage]:
    """Each setting has a value that it can have, and is called by the name that it has now."""
    found: list[CheckMessage] = [Error(fault, id="eventstore.E022") for fault in conf.faults(conf.SETTINGS)]
    found += [
        Error(f"The setting {old} is called {new} now.", hint="Rename it.", id="eventstore.E023")
        for old, new in conf.RENAMED.items()
        if hasattr(settings, old)
    ]
    return found


@register()
def declarations(**_: Any) -> list[CheckMessage]:
    """Events, commands and subscribers fit together."""
    return [*_events(), *_commands(), *_times(), *_snapshots(), *_subscribers()]


@register()
def transactions(**_: Any) -> list[CheckMessage]:
    """A command's transaction is its own."""
    return [
        Error(
            f"ATOMIC_REQUESTS is on for the database {alias!r}: a command could not commit before it is answered.",
            hint="Switch it off; every command is a transaction of its own.",
            id="eventstore.E010",
        )
        for alias in connections
        if connections[alias].settings_dict["ATOMIC_REQUESTS"]
    ]


@register()
def notifying(**_: Any) -> list[CheckMessage]:
    """The functions exist that tell staff of incidents and whom they concern; found out at the first incident, it would
    be too late.
    """
    return [
        Error(f"{setting.name} names {path!r}, which can't be imported.", id="eventstore.E019")
        for setting in (conf.NOTIFIERS, conf.AFFECTED)
        for path in setting.get()
        if not _exists(path)
    ]


@register()
def locked(**_: Any) -> list[CheckMessage]:
    """Whatever is stored, and whatever will be, can be read by whoever has to."""
    file = lockfile.path()
    if file is None:
        return []
    try:
        now = lockfile.declared()
        found = [_difference(each, file.name) for each in changes.compare(lockfile.read(), now)]
        return found + [Error(fault, id="eventstore.E028") for fault in changes.faults(now)]
    except UnreadableFile as error:
        return [Error(str(error), hint="Restore it from version control.", id="eventstore.E029")]


@register(deploy=True)
def listening(**_: Any) -> list[CheckMessage]:
    """In production somebody is told of incidents."""
    if active_notifiers():
        return []
    return [
        checks.Warning(
            "Nobody is told when something fails: mails to the admins are the only notifier, and there are none.",
            hint="Name them in ADMINS, or another notifier in EVENTSTORE_NOTIFIERS.",
            id="eventstore.W021",
        )
    ]


@register(Tags.security, deploy=True)
def roles(**_: Any) -> list[CheckMessage]:
    """In production the application can't be the owner of the log."""
    if owner_alias() in connections:
        owner, application = (connections[alias].settings_dict["USER"] for alias in (owner_alias(), DEFAULT_DB_ALIAS))
        if owner != application:
            return []
    return [
        checks.Warning(
            "The application's database role owns the log, so only triggers protect it.",
            hint="Give the owner a role of its own (DATABASE_OWNER_URL).",
            id="eventstore.W011",
        )
    ]


@register(Tags.database)
def sequence(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The log's positions are handed out one by one, and never twice."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return []
    with database.cursor() as cursor:
        if cursor.execute(queries.LOG_TABLE).fetchone() == (None,):
            return []
    cache, last, highest = store.position_sequence()
    found: list[CheckMessage] = []
    if cache != 1:
        found.append(Error("The log's sequence caches positions, so the horizon is wrong.", id="eventstore.E012"))
    if last < highest:
        found.append(
            Error(f"The log's sequence stands at {last}, below {highest}, which is used.", id="eventstore.E013")
        )
    return found


def _difference(change: Change, file: str) -> CheckMessage:
    if change.is_refused:
        return Error(f"{change.name} {change.change}. {change.told}".strip(), hint=change.advice, id="eventstore.E026")
    hint = f"Run `manage.py events lock` and commit {file}."
    return Error(f"{change.name} {change.change}.", hint=hint, id="eventstore.E027")


def _events() -> Iterable[CheckMessage]:
    for name, count in Counter(declared.stored for declared in catalogue).items():
        if count > 1:
            yield Error(f"{count} events are stored as {name!r}.", id="eventstore.E001")
    known = {declared.stored for declared in catalogue} | {past.name for past in formers()}
    taken = Counter(event for kind in routes.aggregates for event, _ in kind.declared_evolvers())
    for declared in catalogue:
        if not taken[declared] and not declared.standalone:
            yield Error(f"{declared.__name__} is taken by no handler of an aggregate.", id="eventstore.E002")
        if taken[declared] > 1:
            yield Error(f"{declared.__name__} is taken by {taken[declared]} handlers.", id="eventstore.E003")
    for past in formers():
        if past.name in catalogue:
            yield Error(f"{past.name!r} is declared, and as a former name as well.", id="eventstore.E030")
        for name in sorted(past.into.keys() - known):
            yield Error(f"{past.name!r} is read as {name!r}, which no event is stored as.", id="eventstore.E031")
    for name, version in missing_upcasters():
        yield Error(f"{name!r} has no upcaster from schema version {version}.", id="eventstore.E004")


def _snapshots() -> Iterable[CheckMessage]:
    for kind in routes.aggregates:
        if kind.snapshot_every and not repository.shape(kind).fingerprint:
            yield checks.Warning(
                f"{kind.__name__} is kept in no snapshot: code that its state depends on can't be read.",
                id="eventstore.W025",
            )


def _commands() -> Iterable[CheckMessage]:
    for name, count in Counter(command.stored for _, command in routes.listed).items():
        if count > 1:
            yield Error(f"{count} commands are stored as {name!r}.", id="eventstore.E005")
    handled = Counter(handler.command for kind in routes.aggregates for handler in kind.declared_handlers())
    listed = {command for _, command in routes.listed}
    for kind, command in routes.listed:
        if command not in kind.handlers:
            yield Error(
                f"{kind.__name__} is listed for {command.__name__} but does not handle it.", id="eventstore.E006"
            )
        if command.stream not in command.__struct_fields__:
            yield Error(f"{command.stream!r} is no field of {command.__name__}.", id="eventstore.E008")
    for command, count in handled.items():
        if count > 1:
            yield Error(f"{command.__name__} has {count} handlers.", id="eventstore.E007")
        if command not in listed:
            yield Error(f"{command.__name__} is handled but not listed.", id="eventstore.E009")


def _times() -> Iterable[CheckMessage]:
    for declared in (*catalogue, *(command for _, command in routes.listed)):
        shape = inspect.type_info(declared)
        assert isinstance(shape, inspect.StructType), "events and commands are structs"
        for field in shape.fields:
            if _may_be_naive(field.type):
                yield checks.Warning(
                    f"{declared.__name__}.{field.name} may hold a time without a time zone, which tables take for UTC.",
                    hint="Declare it as Annotated[datetime, msgspec.Meta(tz=True)].",
                    id="eventstore.W024",
                )


def _may_be_naive(shape: object, *within: object) -> bool:
    """Whether a type is a time whose zone may be left out, or has one in it."""
    if isinstance(shape, inspect.DateTimeType):
        return shape.tz is not True
    if isinstance(shape, tuple):
        return any(_may_be_naive(each, *within) for each in shape)
    if not isinstance(shape, inspect.Type | inspect.Field) or any(shape is each for each in within):
        return False
    return any(_may_be_naive(getattr(shape, name), shape, *within) for name in shape.__struct_fields__)


def _subscribers() -> Iterable[CheckMessage]:
    names = Counter(subscriber.name for subscriber in registry)
    for name, count in names.items():
        if count > 1:
            yield Error(f"{count} subscribers are called {name!r}.", id="eventstore.E014")
    former = {each.name for each in formers()}
    for subscriber in registry:
        for stored in sorted(subscriber.types):
            if stored not in catalogue and stored not in former:
                yield Error(f"{subscriber.name} wants {stored!r}, which no event is stored as.", id="eventstore.E015")
        for used in subscriber.uses:
            if used not in names:
                yield Error(f"{subscriber.name} uses {used!r}, which is no subscriber.", id="eventstore.E016")
            elif subscriber.mode is Mode.SYNC and registry[used].mode is Mode.ASYNC:
                yield Error(f"{subscriber.name} is sync but uses {used}, which is async.", id="eventstore.E017")
    yield from _configured(names)


def _configured(names: Counter[str]) -> Iterable[CheckMessage]:
    for name, mode in conf.MODES.get().items():
        if name not in names or mode not in set(Mode):
            yield Error(f"EVENTSTORE_MODES says {name}={mode}, which means nothing.", id="eventstore.E018")
    for name in conf.ONLY.get() or ():
        if name not in names:
            yield Error(f"EVENTSTORE_ONLY names {name!r}, which is no subscriber.", id="eventstore.E020")


def _exists(path: str) -> bool:
    try:
        import_string(path)
    except ImportError:
        return False
    return True
