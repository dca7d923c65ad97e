"""The processes behind the site as `make run` starts them."""

import pytest

from eventstore.models import WorkerHeartbeat
from sagas.models import Timer
from tests.integration import shop
from tests.integration.processes import eventually, program

pytestmark = pytest.mark.usefixtures("clean")

CLOCK = ("-m", "config.background", "worker", "--queues=clock", "--name=clock")


def test_the_clock_and_its_worker_are_one_process(tmp_path):
    shop.order(shop.customer(), shop.conference_on_sale())
    Timer.objects.update(due_at="2000-01-01T00:00:00Z")
    with program(*CLOCK, "--pool=solo", f"--schedule={tmp_path / 'schedule'}") as clock:
        eventually(lambda: Timer.objects.get().status == "fired", 60)
        beating = WorkerHeartbeat.objects.filter(kind__in=["worker", "beat"], stopped_at=None)
        eventually(lambda: beating.count() == 2)
        assert {each.process.rpartition(":")[2] for each in beating} == {str(clock.process.pid)}
        clock.process.terminate()
        assert clock.process.wait(90) == 0
    assert not beating.all().exists()
    assert list(tmp_path.glob("schedule*"))


def test_where_the_clock_fails_its_worker_ends_too():
    with program(*CLOCK, "--pool=solo", "--schedule=/proc/1/task/schedule") as clock:
        assert clock.process.wait(60) == 1
    assert "clock_failed" in clock.output


def test_a_worker_that_forks_is_no_clock(tmp_path):
    with program(*CLOCK, f"--schedule={tmp_path / 'schedule'}") as clock:
        assert clock.process.wait(60) == 2
    assert "Only a worker with --pool=solo can be the clock as well" in clock.output
