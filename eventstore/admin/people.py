"""What people read instead of the id of who did something."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth import get_user_model

KINDS = ("staff", "user")


def names(actors: Iterable[str]) -> dict[str, str]:
    """By actor: the user name where it is somebody with a login, such as staff:7; any other as it is. One statement
    asks for all of them.
    """
    ids = {actor: _id_of(actor) for actor in actors}
    found = get_user_model()._default_manager.filter(pk__in={id_ for id_ in ids.values() if id_})
    users = {str(user.pk): user.get_username() for user in found}
    return {actor: users.get(id_, actor) for actor, id_ in ids.items()}


def prepare(rows: Sequence[Any], field: str) -> None:
    """Look up for all of these rows who is in this field, for `name_of`."""
    known = names(getattr(row, field) for row in rows)
    for row in rows:
        row.people = known


def name_of(row: Any, field: str) -> str:
    """Who is in this field of a row."""
    actor = getattr(row, field)
    known: dict[str, str] = getattr(row, "people", None) or names([actor])
    return known[actor]


def _id_of(actor: str) -> str:
    kind, _, id_ = actor.partition(":")
    return id_ if kind in KINDS and id_.isdecimal() else ""
