"""The SQL of generations: what is filled, compared and swapped. By the module that asks it.

What only names a table or a schema, such as `DROP SCHEMA {}`, stands where it is used.
"""

# event_filter

EVENT_CONDITION = "CASE {arms} ELSE true END"
"""Which arm judges an event; one that no arm is about passes."""

ARM = "WHEN {known} THEN ({within}) IS NOT FALSE"
"""What judges some events. Not false: a field that is left out of the JSON has its default, which only Python knows."""

OF_SCHEMA = "schema_version = {schema}"
"""The events that an arm is about: those of a schema version."""

OF_TYPES = "{known} AND type IN ({types})"
"""The same where it is about some types only."""

OF_KEYS = "data->>{field} = ANY({keys})"
"""The events whose field is one of some keys."""

# part

COUNT_FAILING_KEYS = "SELECT count(DISTINCT key) FROM eventstore_parked WHERE subscriber = %s AND error <> ''"
"""How many keys of a generation can't be folded."""

# dependents

DEPENDENTS = """
    SELECT format('view %%s', rule.ev_class::regclass) FROM pg_depend AS needs
        JOIN pg_rewrite AS rule ON needs.classid = 'pg_rewrite'::regclass AND needs.objid = rule.oid
        WHERE needs.refclassid = 'pg_class'::regclass AND needs.refobjid = to_regclass(%(table)s)
    UNION SELECT format('trigger %%s', tgname) FROM pg_trigger
        WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal
    UNION SELECT format('foreign key %%s', conname) FROM pg_constraint
        WHERE contype = 'f' AND to_regclass(%(table)s) IN (conrelid, confrelid)
    ORDER BY 1"""
"""The views, triggers and foreign keys of a table, by kind and name."""

# generation_tables

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
"""The names of the tables that a schema has."""

OWNER = "SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = %s"
"""Who owns a table."""

GRANTS = """SELECT grantee, privilege_type FROM information_schema.role_table_grants
    WHERE table_schema = %s AND table_name = %s"""
"""Who else may do what with a table."""

IN_THE_WAY = """SELECT string_agg(format('%%s (pid %%s, %%s s): %%s',
        coalesce(nullif(application_name, ''), usename, backend_type), pid,
        extract(epoch FROM clock_timestamp() - xact_start)::int, left(query, 200)), E'\n')
    FROM pg_stat_activity WHERE pid IN (
        SELECT pid FROM pg_locks WHERE granted AND pid <> pg_backend_pid() AND (
        relation IN (to_regclass(%s), to_regclass(%s))
        OR relation = 'eventstore_subscriber'::regclass AND mode = 'RowShareLock'))
    AND clock_timestamp() - xact_start > '100 ms'"""
"""Who has held one of two tables, or the row of a subscriber, for as long as we wait for one, in words."""

INDEXES = """SELECT index.relname, pg_get_indexdef(index.oid)
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    WHERE indrelid = %s::regclass AND NOT indisunique AND NOT indisexclusion"""
"""The statements that make the indexes of a table. An index that refuses rows is no matter of speed, so it is there
from the beginning and not among them.
"""

EXISTING_INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = %s"
"""The names of the indexes that a schema has."""

# verification

COMPARE = """
    WITH differing AS MATERIALIZED (
        SELECT coalesce(live.{key}, fresh.{key})::text AS key,
            CASE WHEN live.{key} IS NULL THEN 'missing' WHEN fresh.{key} IS NULL THEN 'extra' ELSE 'differs' END
                AS kind,
            coalesce((
                SELECT jsonb_object_agg(key, jsonb_build_array(l.value, f.value))
                FROM jsonb_each(to_jsonb(live)) AS l FULL JOIN jsonb_each(to_jsonb(fresh)) AS f USING (key)
                WHERE l.value IS DISTINCT FROM f.value
            ), '{{}}') AS columns
        FROM (SELECT * FROM {live} WHERE {scope}) AS live
        FULL JOIN (SELECT * FROM {fresh} WHERE {scope}) AS fresh ON live.{key} = fresh.{key}
        WHERE ({live_columns}) IS DISTINCT FROM ({fresh_columns})
    ), kept AS (
        INSERT INTO projections_difference (generation_id, key, kind, columns, parked)
        SELECT %(generation)s, key, kind, columns, EXISTS (
            SELECT FROM eventstore_parked AS parked
            WHERE parked.subscriber = %(projection)s AND parked.key = {parked_as})
        FROM differing ORDER BY key LIMIT %(most)s
        ON CONFLICT (generation_id, key) DO NOTHING
    )
    SELECT (SELECT count(*) FROM differing), (SELECT count(*) FROM {fresh} WHERE {scope}),
        (SELECT coalesce(jsonb_object_agg(kind, rows), '{{}}')::text
            FROM (SELECT kind, count(*) AS rows FROM differing GROUP BY kind) AS by_kind),
        (SELECT coalesce(jsonb_object_agg(name, rows), '{{}}')::text
            FROM (SELECT name, count(*) AS rows FROM differing, jsonb_object_keys(columns) AS name
                WHERE kind = 'differs' GROUP BY name) AS by_column)"""
"""Compares live rows with fresh ones, keeps the first differences, and answers how many there are, how many fresh rows
were compared, and of those that differ how many there are of each kind, and how many differ in each column.
"""

SUMS = "SELECT {by}::text, {sums} FROM {table} GROUP BY 1"
"""The sums of some columns of a table, apart by another."""

REMOVE_ROWS = "DELETE FROM {live} WHERE {key} = ANY(%s::{key_type}[])"
"""Removes the live rows of some keys."""

COPY_ROWS = "INSERT INTO {live} ({columns}) SELECT {columns} FROM {fresh} WHERE {key} = ANY(%s::{key_type}[])"
"""Puts the fresh rows of some keys among the live ones."""

AMONG_KEYS = "{key}::text = ANY(%(keys)s)"
"""The rows of the keys that are asked for."""

# kept

KEPT_ROWS = "SELECT * FROM {table} ORDER BY {key}"
"""The rows of a table, in the order of their keys."""

# swap

GO_LIVE = """UPDATE eventstore_subscriber
    SET checkpoint = greatest(checkpoint, %s), version = %s, types_hash = %s, fingerprint = %s, stale = '',
        failures = 0, retry_at = NULL, status = CASE status WHEN 'halted' THEN 'running' ELSE status END,
        last_error = '',
        last_error_at = NULL, moved_at = clock_timestamp() WHERE subscriber = %s"""
"""Has the live rows stand where the generation does that takes their place, as of its code; what they failed for is
over.
"""

MARK_STALE = "UPDATE eventstore_subscriber SET stale = %s WHERE subscriber = ANY(%s) AND checkpoint > 0"
"""Notes why those that use a projection are stale, if they have begun."""
