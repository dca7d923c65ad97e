"""The SQL of read tables: templates, compiled for each model and schema."""

# tables

LOAD_ROWS = "SELECT {columns} FROM {table} WHERE {key} = ANY(%s::{key_type}[])"
"""The rows of some keys."""

WRITE_ROWS = """INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %s)
    ON CONFLICT ({key}) DO UPDATE SET {replaced}"""
"""Inserts rows or replaces them, all of a batch at once: they come as one array of JSON."""

COPY_ROWS = r"""COPY {table} ({columns}) FROM STDIN (FORMAT csv, DELIMITER ',', QUOTE '"', ESCAPE '\', NULL 'null')"""
"""Inserts rows that the table doesn't have, the fastest way, in the format that `copy_csv` writes."""

DELETE_ROWS = "DELETE FROM {table} WHERE {key} = ANY(%s::{key_type}[])"
"""Deletes the rows of some keys."""
