"""A site as it is after years of selling, made within minutes: what the benchmark `admin` looks at.

Conferences, customers and some orders come about as they would: by commands. What comes then is written by COPY and
INSERT: the events as the codec makes them, the rows of read models by a rebuild, those of sagas and effects as they are
when all is done.

Started as `python -m benchmarks.years EVENTS ORDERS PARKED CONFERENCES`, with the variables of an empty database.
"""

import os
import sys
from datetime import timedelta
from random import Random

import django
import psycopg
from django.utils import timezone

RECENT = 100
"""Orders that are really placed."""

_DONE = """
INSERT INTO sagas_instance (saga, key, state, version, ended, position, started_at, moved_at)
    SELECT model.saga, event.stream_id, model.state, model.version, true, event.position,
        event.recorded_at, event.recorded_at
    FROM eventstore_event AS event, (SELECT * FROM sagas_instance WHERE saga = 'sale' ORDER BY id LIMIT 1) AS model
    WHERE event.type = 'order.placed'
    ON CONFLICT DO NOTHING;
INSERT INTO sagas_transition (saga, key, position, type, version, state, ended, steps, at)
    SELECT model.saga, event.stream_id, event.position, event.type, model.version, model.state, false, model.steps,
        event.recorded_at
    FROM eventstore_event AS event,
        (SELECT * FROM sagas_transition WHERE saga = 'sale' AND type = 'order.placed' ORDER BY id LIMIT 1) AS model
    WHERE event.type IN ('order.placed', 'order.confirmed')
    ON CONFLICT DO NOTHING;
INSERT INTO sagas_outbox (saga, key, command_id, type, data, status, attempts, due_at, root, hops, correlation_id,
        causation_id, actor, result, created_at, finished_at)
    SELECT model.saga, event.stream_id, gen_random_uuid(), model.type, model.data, 'done', 1, event.recorded_at,
        event.event_id, 1, event.correlation_id, event.event_id, 'saga:sale', event.position, event.recorded_at,
        event.recorded_at
    FROM eventstore_event AS event, generate_series(1, 3),
        (SELECT * FROM sagas_outbox WHERE saga = 'sale' ORDER BY id LIMIT 1) AS model
    WHERE event.type = 'order.placed';
INSERT INTO sagas_timer (saga, key, name, due_at, command_id, type, data, status, correlation_id, causation_id, actor,
        created_at, fired_at)
    SELECT model.saga, event.stream_id, model.name, event.recorded_at + interval '15 min', gen_random_uuid(),
        model.type, model.data, CASE WHEN event.position % 2 = 0 THEN 'cancelled' ELSE 'fired' END,
        event.correlation_id, event.event_id, 'saga:sale', event.recorded_at, event.recorded_at
    FROM eventstore_event AS event, (SELECT * FROM sagas_timer WHERE saga = 'sale' ORDER BY id LIMIT 1) AS model
    WHERE event.type = 'order.placed';
INSERT INTO sagas_delivery (effect, position, status, attempts, due_at, created_at, finished_at)
    SELECT effect.name, event.position, 'done', 1, event.recorded_at, event.recorded_at, event.recorded_at
    FROM eventstore_event AS event,
        (VALUES ('payment.requested', 'mail.payment-requested'), ('order.confirmed', 'mail.order-confirmation'))
            AS effect (type, name)
    WHERE event.type = effect.type
    ON CONFLICT DO NOTHING;
"""
"""What the sale made of each order, after the model of one that really went through it: 1 instance, 2 entries of its
history, 3 commands, 1 timer and 2 mails.
"""

_CAUGHT_UP = """UPDATE eventstore_subscriber
    SET checkpoint = (SELECT max(position) FROM eventstore_event), processed = processed + %s"""

_PARKED = """INSERT INTO eventstore_parked (subscriber, key, position, error, traceback, attempts)
    SELECT 'order-summaries', stream_id, position, 'ValueError in fold, line 1 of orders.py', 'Traceback', 8
    FROM eventstore_event WHERE type = 'order.confirmed' ORDER BY position DESC LIMIT %s"""


def make(events: int, orders: int, parked: int, conferences: int) -> None:
    """Fill an empty database with at least so many of each."""
    from benchmarks import history
    from benchmarks.history import EVENTS_AN_ORDER, STEP, Parties
    from ordering.simulation import Simulation, schedule

    random = Random(1)
    held = [schedule(f"Conference {number}", seats=1_000) for number in range(1, conferences + 1)]
    simulation = Simulation(1, random.choice(held))
    for _ in simulation.sell(RECENT):
        pass
    owner = os.environ["DATABASE_OWNER_URL"]
    history.load(
        owner,
        events,
        mails=events // orders - EVENTS_AN_ORDER + 1,
        parties=Parties(simulation.customers, held),
        begin=timezone.now() - timedelta(hours=2) - events * STEP,
    )
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(_DONE)
        connection.execute(_CAUGHT_UP, [events])
        _fold()
        connection.execute(_PARKED, [parked])
        connection.execute("VACUUM (ANALYZE)")


def _fold() -> None:
    """Every read model anew, as workers would."""
    from eventstore.subscriptions.registry import registry
    from projections.models import Generation, Part
    from projections.projection import Projection
    from projections.rebuild import builder, generations

    for projection in [each for each in registry if isinstance(each, Projection)]:
        generation = generations.rebuild(projection.name)
        part = Part.objects.get(generation=generation)
        while generation.status == Generation.Status.BUILDING:
            builder.build(part.pk)
            generation.refresh_from_db()


if __name__ == "__main__":
    django.setup()
    make(*map(int, sys.argv[1:]))
