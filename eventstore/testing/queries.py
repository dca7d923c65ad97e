"""The SQL of `reset`."""

SIZES = """
    SELECT name, pg_relation_size(to_regclass(quote_ident(name))) FROM unnest(%s::text[]) AS name
    WHERE pg_relation_size(to_regclass(quote_ident(name))) > 0"""
"""The tables, of these, that were ever written to, each with its bytes."""

RESTART = """
    SELECT setval(seqrelid, seqstart, false) FROM pg_sequence
    JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')
    WHERE pg_sequence_last_value(seqrelid) IS NOT NULL
        AND refobjid IN (SELECT to_regclass(quote_ident(name)) FROM unnest(%s::text[]) AS name)"""
"""Has the sequences of these tables that were ever drawn from begin anew."""
