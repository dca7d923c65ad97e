"""Roles and databases, made by a superuser: the same on a bundled PostgreSQL as on any other."""

import psycopg
from psycopg import sql


def ensure_role(superuser: psycopg.Connection, name: str, password: str) -> None:
    """There is a role of that name, may log in, and has that password."""
    role = sql.Identifier(name)
    if not superuser.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
        superuser.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    # Encrypted on this side, so that no log of the server can ever show it.
    encrypted = superuser.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    superuser.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, encrypted))


def ensure_database(superuser: psycopg.Connection, name: str, owner: str, application: str) -> None:
    """There is a database of that name, which belongs to `owner` and which `application` may enter, and nobody else."""
    if superuser.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    database = sql.Identifier(name)
    superuser.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, sql.Identifier(owner)))
    superuser.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    # So that a rebuild can say which query it waits for.
    superuser.execute(sql.SQL("GRANT pg_read_all_stats TO {}").format(sql.Identifier(owner)))
    entry = sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}")
    superuser.execute(entry.format(database, sql.Identifier(application)))
