"""What hangs on a read table and is no part of its model: a swap would leave it on the old rows, unnoticed."""

from psycopg import sql

from eventstore import database
from projections import conf
from projections.errors import DependedOn
from projections.projection import AnyProjection
from projections.rebuild import queries


def dependents(projection: AnyProjection) -> list[str]:
    """Views, triggers and foreign keys of the live table, by kind and name."""
    with database.cursor() as cursor:
        table = sql.Identifier(conf.SCHEMA.get(), projection.model._meta.db_table).as_string()
        return [name for (name,) in cursor.execute(queries.DEPENDENTS, {"table": table}).fetchall()]


def refuse_dependents(projection: AnyProjection) -> None:
    """Raises `DependedOn`."""
    if found := dependents(projection):
        raise DependedOn(
            f"{projection.model._meta.db_table} can't be swapped: {', '.join(found)} would go on with the old rows."
        )
