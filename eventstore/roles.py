"""Two database roles: the owner migrates, the application reads, appends and keeps its tables, and can't touch
history.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from psycopg import sql

from eventstore import conf, queries


def owner_alias() -> str:
    """The connection whose role owns the tables; the ordinary one where a project has but one role."""
    return conf.OWNER_ALIAS.get()


def grant_to_application(using: str, **_: Any) -> None:
    """After every migration: the application's role may use all tables, but for what would rewrite history."""
    role = connections[DEFAULT_DB_ALIAS].settings_dict["USER"]
    with transaction.atomic(using), connections[using].cursor() as cursor:
        cursor.execute(queries.OWNER_AND_SCHEMA)
        owner, schema = cursor.fetchone()
        if not role or role == owner:
            return
        there = connections[using].introspection.table_names(cursor)
        kept = [each for table, those in queries.KEPT_FROM_APPLICATION.items() if table in there for each in those]
        for statement in (*queries.GRANTS, *kept):
            query = sql.SQL(statement).format(schema=sql.Identifier(schema), role=sql.Identifier(role))
            cursor.execute(query.as_string(cursor.connection))
