"""The SQL of what staff do to subscribers. All of it is carried out under the locks of the subscriber's rows."""

# subscribers

SET_STATUS = """UPDATE eventstore_subscriber SET status = %s, failures = 0, retry_at = NULL,
    resumed_at = CASE WHEN %s = 'running' THEN clock_timestamp() ELSE resumed_at END WHERE subscriber = %s"""
"""Pauses or resumes a subscriber; what failed before it was resumed is not held against it."""

MOVE_ON = """UPDATE eventstore_subscriber SET checkpoint = greatest(checkpoint, %s), moved_at = clock_timestamp()
    WHERE subscriber = %s"""
"""Moves a subscriber on to a position, and never back."""

NOTE_SKIPPED = "INSERT INTO eventstore_skippedrange (subscriber, after, upto, reason, by) VALUES (%s, %s, %s, %s, %s)"
"""Notes what a subscriber skipped, by whom and why, so that it shows as a gap."""

MOVE_BACK = "UPDATE eventstore_subscriber SET checkpoint = least(checkpoint, %s) WHERE subscriber = %s"
"""Moves a subscriber back to a position, and never on."""

UNPARK_ABOVE = "DELETE FROM eventstore_parked WHERE subscriber = %s AND position > %s"
"""Forgets what is parked above a position, for it will be applied once more."""

UNSKIP_ABOVE = "DELETE FROM eventstore_skippedrange WHERE subscriber = %s AND after >= %s"
"""Forgets what was skipped wholly above a position, for it will be applied."""

CUT_SKIPPED = "UPDATE eventstore_skippedrange SET upto = %s WHERE subscriber = %s AND upto > %s"
"""Leaves of a skipped range what lies below a position."""

RESHARD = """INSERT INTO eventstore_subscriber (name, subscriber, shard, shards, rank, mode, version, types_hash,
        fingerprint, stale, checkpoint, began_after, status, processed, failures, resumed_at, last_error, last_error_at,
        moved_at, fed_by)
    SELECT new.name, subscriber, new.shard, %(shards)s, rank, %(mode)s, version, types_hash, fingerprint, stale,
        checkpoint, began_after, status, CASE new.shard WHEN 0 THEN %(processed)s ELSE 0 END, 0, resumed_at, '', NULL,
        moved_at, fed_by
    FROM eventstore_subscriber AS row, unnest(%(names)s::text[], %(numbers)s::int[]) AS new(name, shard)
    WHERE row.name = %(one)s"""
"""Makes the new rows of a subscriber like one of the old ones; the first of them has the count of all."""

COUNT_PROCESSED = "SELECT sum(processed) FROM eventstore_subscriber WHERE subscriber = %s"
"""How many events the rows of a subscriber have applied, together."""

REMOVE_ROWS = "DELETE FROM eventstore_subscriber WHERE name = ANY(%s)"
"""Removes rows of a subscriber."""

# retirement

MAY_BE_FED = """SELECT EXISTS (
    SELECT FROM eventstore_subscriber AS row WHERE subscriber = %(subscriber)s AND status = 'running' AND (
        greatest(moved_at, last_error_at) > clock_timestamp() - %(seconds)s * interval '1 second'
        OR NOT EXISTS (SELECT FROM eventstore_event WHERE position > row.checkpoint AND position <= %(horizon)s
            AND recorded_at < clock_timestamp() - %(seconds)s * interval '1 second')))"""
"""Whether somebody may feed a row of a subscriber: it moved or failed a moment ago, or there is nothing that it should
have passed since.
"""
