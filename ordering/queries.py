"""The SQL of what staff see of the business, by the module that asks it."""

# apps

ORDERS_FIGURE = """SELECT count(*) FROM (
        SELECT FROM eventstore_event WHERE type = 'order.placed'
            AND position > last.position AND position <= now.position LIMIT 10000) AS counted"""
"""How many orders were placed since the sample before."""

MAILS_FIGURE = """SELECT count(*) FROM (
        SELECT FROM eventstore_event WHERE type = 'mail.sent'
            AND position > last.position AND position <= now.position LIMIT 10000) AS counted"""
"""How many mails were sent since then."""

# affected

CONCERNED = """
    WITH traced AS (
        SELECT each.problem, found.id::uuid AS id, found.category, found.name
        FROM unnest(%(problems)s::int[], %(keys)s::text[], %(positions)s::bigint[]) AS each(problem, key, position)
        LEFT JOIN LATERAL (
            SELECT stream_id, category, data FROM eventstore_event WHERE position = each.position OFFSET 0
        ) AS event ON true
        CROSS JOIN LATERAL (VALUES
            (each.key, '', ''),
            (event.stream_id::text, event.category, event.data->>'number'),
            (event.data->>'order_id', 'order', ''),
            (event.data->>'customer_id', 'customer', '')
        ) AS found(id, category, name)
        WHERE found.id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    ), ids AS (
        SELECT problem, id, coalesce(max(category), '') AS category, coalesce(max(name), '') AS name
        FROM traced GROUP BY problem, id
    ), orders AS (
        SELECT problem, id, coalesce(known.number, nullif(name, ''), left(id::text, 8) || '…') AS name, customer_id
        FROM ids LEFT JOIN LATERAL (
            SELECT number, customer_id FROM ordering_ordersummary WHERE order_id = ids.id OFFSET 0
        ) AS known ON true WHERE category = 'order' OR known.number IS NOT NULL
    ), customers AS (
        SELECT problem, each.id, coalesce(known.name, left(each.id::text, 8) || '…') AS name,
            is_customer OR known.name IS NOT NULL AS is_one
        FROM (
            SELECT problem, id, category = 'customer' AS is_customer FROM ids WHERE category IN ('', 'customer')
            UNION SELECT problem, customer_id, true FROM orders WHERE customer_id IS NOT NULL
        ) AS each LEFT JOIN LATERAL (
            SELECT name FROM ordering_customerprofile WHERE customer_id = each.id OFFSET 0
        ) AS known ON true
    ), conferences AS (
        SELECT problem, id, known.name FROM ids, LATERAL (
            SELECT name FROM ordering_conferencesummary WHERE conference_id = ids.id OFFSET 0
        ) AS known WHERE category IN ('', 'conference')
    )
    SELECT problem, noun, count(DISTINCT id) AS number, (array_agg(DISTINCT name || '/' || id))[1:%(shown)s] AS shown
    FROM (
        SELECT 'order' AS noun, problem, id, name FROM orders
        UNION ALL SELECT 'customer', problem, id, name FROM customers WHERE is_one
        UNION ALL SELECT 'conference', problem, id, name FROM conferences
    ) AS concerned GROUP BY problem, noun"""
"""How many orders, customers and conferences stand behind keys and events, by problem, and the names and ids of some.
What has no row yet is known by the category of its stream.
"""

# admin.dashboard

TODAY = """
    SELECT 'orders' AS what, each.status AS word, counted.number, 0::numeric AS received, 0::numeric AS refunded
    FROM unnest(%(statuses)s::text[]) AS each(status), LATERAL (
        SELECT count(*) AS number FROM (SELECT FROM ordering_ordersummary
            WHERE status = each.status AND placed_at >= %(midnight)s LIMIT %(most)s + 1) AS found) AS counted
    UNION ALL
    SELECT 'sales', currency, payments, received, refunded FROM ordering_dailysales WHERE day = %(day)s"""
"""The orders of today by status, each counted along its index up to a bound, and the money of today by currency."""
