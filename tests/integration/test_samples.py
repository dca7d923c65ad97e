"""One sample a minute tells how the system did, whoever takes it, and none is kept for more than a day and an hour."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import F
from django.utils import timezone

from eventstore.admin.sparkline import sparkline
from eventstore.models import ParkedEvent, Sample
from eventstore.monitoring import samples
from eventstore.monitoring.heartbeat import Heartbeat
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")

MINUTE = timedelta(minutes=1)


def pass_by(minutes=1):
    """As if the samples had been taken so many minutes earlier."""
    Sample.objects.update(minute=F("minute") - minutes * MINUTE)


def test_a_sample_tells_what_came_since_the_one_before_and_how_things_stand():
    samples.take()
    pass_by()
    shop.order(shop.customer(), shop.conference_on_sale())
    ParkedEvent.objects.create(subscriber="order-summaries", key="k", position=1, error="ValueError")
    ParkedEvent.objects.create(subscriber="order-summaries", key="k", position=2)
    ParkedEvent.objects.create(subscriber="order-summaries#7", key="k", position=1, error="ValueError")
    Delivery.objects.filter(effect="mail.welcome").update(status="failed")
    samples.take()
    _, now = samples.last_hour()
    assert now.seconds == 60
    assert now.events >= 5
    counted = {name: now.figures[name] for name in ("orders", "mails", "parked", "failed", "stuck", "refused")}
    assert counted == {"orders": 1, "mails": 0, "parked": 1, "failed": 1, "stuck": 0, "refused": 0}
    assert now.figures["lag"] > 0


def test_a_minute_has_one_sample_however_many_take_it():
    def take(_):
        samples.take()
        connections.close_all()

    with ThreadPoolExecutor(4) as several:
        list(several.map(take, range(8)))
    assert Sample.objects.count() in {1, 2}  # the minute may have turned
    assert len({each.minute for each in Sample.objects.all()}) == Sample.objects.count()


def test_what_is_old_is_dropped_and_so_is_what_is_yet_to_come():
    now = timezone.now().replace(second=0, microsecond=0)
    for age in (timedelta(hours=26), timedelta(hours=24), -timedelta(hours=2)):
        Sample.objects.create(minute=now - age, position=0, seconds=60, events=0)
    samples.take()
    assert Sample.objects.filter(minute=now - timedelta(hours=24)).exists()
    assert Sample.objects.count() == 2


def test_a_worker_takes_them_beside_its_heartbeat(settings):
    settings.EVENTSTORE_HEALTH_CHECK_SECONDS = 0.1
    heartbeat = Heartbeat("worker@host", "worker", ["live"])
    heartbeat.start()
    try:
        eventually(Sample.objects.exists)
    finally:
        heartbeat.stop()


def test_minutes_without_a_sample_are_gaps():
    samples.take()
    pass_by(2)
    samples.take()
    found = samples.by_minute(samples.last_hour(), timezone.now())
    assert len(found) == 60
    assert [each is None for each in found[-3:]] in ([False, True, False], [True, False, True])
    drawn = sparkline([each.events if each else None for each in found], "Events <a minute>")
    assert drawn.count("<path ") == sum(each is not None for each in found)
    assert 'aria-label="Events &lt;a minute&gt;"' in drawn


def test_a_line_is_drawn_over_a_ground_of_0_and_without_values_there_is_none():
    assert sparkline([], "nothing").count("<path ") == 0
    assert sparkline([0, 0], "nothing") == sparkline([0.0, 0.0], "nothing")
    assert '<path d="M0.0 27.0L60.0 14.5L120.0 2.0"/>' in sparkline([0, 1, 2], "more")
