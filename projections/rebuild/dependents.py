"""What hangs on a read table and is no part of its model: a swap would leave it on the old rows, unnoticed."""

from psycopg import sql

from eventstore import database
from projections import conf
from projections.errors import DependedOn
from projections.projection import AnyProjection

_DEPENDANTS = """
    SELECT format('view %%s', rule.ev_class::regclass) FROM pg_depend AS needs
        JOIN pg_rewrite AS rule ON needs.classid = 'pg_rewrite'::regclass AND needs.objid = rule.oid
        WHERE needs.refclassid = 'pg_class'::regclass AND needs.refobjid = to_regclass(%(table)s)
    UNION SELECT format('trigger %%s', tgname) FROM pg_trigger
        WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal
    UNION SELECT format('foreign key %%s', conname) FROM pg_constraint
        WHERE contype = 'f' AND to_regclass(%(table)s) IN (conrelid, confrelid)
    ORDER BY 1"""


def dependents(projection: AnyProjection) -> list[str]:
    """Views, triggers and foreign keys of the live table, by kind and name."""
    with database.cursor() as cursor:
        table = sql.Identifier(conf.SCHEMA.get(), projection.model._meta.db_table).as_string()
        return [name for (name,) in cursor.execute(_DEPENDANTS, {"table": table}).fetchall()]


def refuse_dependents(projection: AnyProjection) -> None:
    """Raises `DependedOn`."""
    if found := dependents(projection):
        raise DependedOn(
            f"{projection.model._meta.db_table} can't be swapped: {', '.join(found)} would go on with the old rows."
        )
