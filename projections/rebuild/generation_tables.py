"""The tables of generations: made where no reader looks, swapped with the live one in a moment, dropped.

Every statement names the schema; none trusts a `search_path`, which a rolled back savepoint would undo.
"""

from typing import Any

import psycopg
from django.db import connections
from django.db.models import JSONField
from psycopg import sql

from eventstore import database
from eventstore.roles import owner_alias
from eventstore.subscriptions import row_locks
from projections import conf
from projections.models import Generation, ReadModel
from projections.rebuild import queries


def make(model: type[ReadModel], generation: Generation) -> dict[str, str]:
    """An empty table in the generation's schema, as the owner, within the current transaction.

    The schema editor makes it, so names of indexes and constraints are those of the migrations. Indexes that only make
    reading faster come later, when rows are no longer written one by one: answers the statements by their names.
    """
    using = owner_alias()
    schema = sql.Identifier(generation.schema)
    with database.cursor(using) as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        cursor.execute(sql.SQL("SET LOCAL search_path TO {}").format(schema))
        with connections[using].schema_editor(atomic=False) as editor:
            editor.create_model(model)
        cursor.execute("SET LOCAL search_path TO DEFAULT")
        _copy_grants(cursor, model._meta.db_table, generation.schema)
        return _take_indexes(cursor, model, generation)


def missing_indexes(generation: Generation) -> list[str]:
    """The statements that make what its table still lacks."""
    with database.cursor(owner_alias()) as cursor:
        there = {name for (name,) in cursor.execute(queries.EXISTING_INDEXES, [generation.schema])}
    return [statement for name, statement in generation.indexes.items() if name not in there]


def drop(model: type[ReadModel], generation: Generation) -> None:
    """Drop what a generation holds in its own schema; never anything that somebody came to depend on."""
    with database.cursor(owner_alias()) as cursor:
        cursor.execute(
            sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(generation.schema, model._meta.db_table))
        )
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(generation.schema)))


def drop_all(generation: Generation) -> None:
    """The same where the code no longer has the model."""
    with database.cursor(owner_alias()) as cursor:
        row_locks.limit_waiting(cursor, "3s")
        for (table,) in cursor.execute(queries.TABLES, [generation.schema]).fetchall():
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(generation.schema, table)))
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(generation.schema)))


def analyze(model: type[ReadModel], generation: Generation) -> None:
    """A new table has no statistics, and would be read by bad plans until somebody gathers some.

    Those of JSON, by which hardly anybody filters or sorts, take longer than all others together: autovacuum will
    gather them, for to PostgreSQL a table of which some columns were left out still has to be looked at.
    """
    columns = [
        sql.Identifier(each.column or each.attname)
        for each in model._meta.concrete_fields
        if not isinstance(each, JSONField)
    ]
    table = sql.Identifier(generation.schema, model._meta.db_table)
    with database.cursor(owner_alias()) as cursor:
        cursor.execute(sql.SQL("ANALYZE {} ({})").format(table, sql.SQL(", ").join(columns)))


def keep_maintenance_out(cursor: psycopg.Cursor[Any], model: type[ReadModel], generation: Generation) -> None:
    """Nobody vacuums or analyzes the table of a generation or the live one from now on until the transaction ends.

    Readers and writers don't notice. Autovacuum gives way to whoever waits for longer than `deadlock_timeout`, which
    is a second: much longer than readers may be kept waiting, so this comes before all other locks.
    """
    row_locks.limit_waiting(cursor, "3s")
    for schema in (conf.SCHEMA.get(), generation.schema):
        table = sql.Identifier(schema, model._meta.db_table)
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(table))


def swap(cursor: psycopg.Cursor[Any], model: type[ReadModel], new: Generation, old: Generation) -> None:
    """Put the live table where the old generation keeps it, and the new generation's in its place."""
    table = model._meta.db_table
    cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(old.schema)))
    _move(cursor, table, conf.SCHEMA.get(), old.schema)
    _move(cursor, table, new.schema, conf.SCHEMA.get())
    cursor.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(new.schema)))


def make_read_only(cursor: psycopg.Cursor[Any], model: type[ReadModel], generation: Generation) -> None:
    """Nobody but its owner writes to the table of a generation any more."""
    table = model._meta.db_table
    for grantee in {grantee for grantee, _ in cursor.execute(queries.GRANTS, [generation.schema, table]).fetchall()}:
        role = sql.SQL("PUBLIC") if grantee == "PUBLIC" else sql.Identifier(grantee)
        cursor.execute(
            sql.SQL("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {} FROM {}").format(
                sql.Identifier(generation.schema, table), role
            )
        )


def in_the_way(model: type[ReadModel], generation: Generation) -> str:
    """Who has held the live table, that of the generation or the row of a subscriber for as long as we wait for one, in
    words.
    """
    tables = [f"{schema}.{model._meta.db_table}" for schema in (conf.SCHEMA.get(), generation.schema)]
    with database.cursor(owner_alias()) as cursor:
        row = cursor.execute(queries.IN_THE_WAY, tables).fetchone()
    return (row[0] if row else None) or ""


def _take_indexes(cursor: psycopg.Cursor[Any], model: type[ReadModel], generation: Generation) -> dict[str, str]:
    table = sql.Identifier(generation.schema, model._meta.db_table).as_string()
    found = dict(cursor.execute(queries.INDEXES, [table]).fetchall())
    for name in found:
        cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(generation.schema, name)))
    return found


def _move(cursor: psycopg.Cursor[Any], table: str, source: str, destination: str) -> None:
    cursor.execute(
        sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(source, table), sql.Identifier(destination))
    )


def _copy_grants(cursor: psycopg.Cursor[Any], table: str, schema: str) -> None:
    """Owner and privileges are those of the live table."""
    owner = cursor.execute(queries.OWNER, [conf.SCHEMA.get(), table]).fetchone()
    target = sql.Identifier(schema, table)
    if owner:
        cursor.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(target, sql.Identifier(owner[0])))
    for grantee, privilege in cursor.execute(queries.GRANTS, [conf.SCHEMA.get(), table]).fetchall():
        role = sql.SQL("PUBLIC") if grantee == "PUBLIC" else sql.Identifier(grantee)
        cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privilege), target, role))
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), role))
