"""Somebody asks for a rehearsal on the page of a saga, and a worker carries it out."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from eventstore import advisory_locks, store
from eventstore.advisory_locks import slot
from eventstore.errors import Refused
from eventstore.operations.base import perform
from eventstore.roles import owner_alias
from sagas import rehearsal_runs, tasks
from sagas.errors import RehearsalRunning
from sagas.models import RehearsalRun
from sagas.operations import Rehearse
from sagas.rehearsal_runs import Note
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.processes import clock, eventually, worker
from tests.integration.sagas import test_rehearsal as rehearsals
from tests.integration.sagas.parcels import Shipping

pytestmark = pytest.mark.usefixtures("clean")

shipping, shipped = rehearsals.shipping, rehearsals.shipped


@pytest.fixture
def sold():
    shop.order(shop.customer(), shop.conference_on_sale())
    bring_to_rest()


@pytest.fixture
def staff():
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def asked(saga="sale", **since):
    perform(Rehearse(target=saga, **since), by="ada")
    return RehearsalRun.objects.latest("id")


def carried_out(run):
    rehearsal_runs.carry_out(run.pk)
    run.refresh_from_db()
    return run


def test_a_worker_carries_out_what_is_asked_for_on_the_page_of_a_saga(sold, staff):
    address = reverse("admin:eventstore_operation", args=["request-rehearsal", "sale"])
    assert address in staff.get(reverse("admin:eventstore_subscriber", args=["sale"])).content.decode()
    assert "compared with those that were taken" in staff.get(address).content.decode()
    staff.post(address)
    run = RehearsalRun.objects.get()
    assert (run.requested_by, run.finished_at) == ("ada", None)
    with worker(queues="rebuild"), clock():
        eventually(lambda: RehearsalRun.objects.exclude(finished_at=None).exists(), 60)
    run.refresh_from_db()
    assert (run.instances, run.differing, run.error) == (1, 0, "")
    assert run.done == run.total > 0
    listed = staff.get(reverse("admin:sagas_rehearsalrun_changelist")).content.decode()
    assert "no difference among 1 instance<" in listed


def test_what_would_be_done_otherwise_is_on_its_page(shipped, staff):
    with rehearsals.changed(Shipping, packed=rehearsals.mark_packed(rehearsals.does_nothing)):
        run = carried_out(asked("shipping"))
    assert (run.instances, run.differing) == (2, 1)
    assert Rehearse(target="shipping").result().fault == "1 of 2 instances would go another way"
    page = staff.get(reverse("admin:sagas_rehearsalrun_change", args=[run.pk])).content.decode()
    assert "1 of 2 instances would go another way" in page
    assert str(shipped[0]) in page


def test_one_saga_is_rehearsed_once_at_a_time(sold):
    run = asked()
    with pytest.raises(RehearsalRunning):
        asked()
    carried_out(run)
    assert asked().pk > run.pk


def test_two_workers_are_not_at_one_rehearsal_and_what_is_finished_is_not_done_again(sold):
    run = asked()
    with slot(advisory_locks.REHEARSAL, [str(run.pk)], using=owner_alias()) as other:
        assert other
        assert carried_out(run).finished_at is None
    finished = carried_out(run).finished_at
    assert finished
    assert carried_out(run).finished_at == finished


def test_what_a_dead_worker_left_is_taken_up_by_the_clock(sold):
    run = asked()
    run.rehearsed_by = "somebody who died"
    run.save()
    with worker(queues="rebuild"), clock():
        eventually(lambda: RehearsalRun.objects.exclude(finished_at=None).exists(), 60)


def test_how_far_it_is_can_be_seen_meanwhile(sold, staff, monkeypatch):
    monkeypatch.setattr(Note, "EVERY", 0.0)
    seen = []
    write = Note.__call__

    def look(self, done, total):
        write(self, done, total)
        seen.append(RehearsalRun.objects.using(owner_alias()).get().done)

    monkeypatch.setattr(Note, "__call__", look)
    run = carried_out(asked())
    assert seen[-1] == run.total


def test_only_what_came_since_is_told_if_that_is_asked_for(sold):
    run = carried_out(asked(position=store.head() - 2))
    assert run.total <= 3
    soon = timezone.now() + timedelta(days=1)
    assert "has heard of nothing since then" in carried_out(asked(since=soon)).error
    assert "has heard of nothing since then" in Rehearse(target="sale").result().fault


@pytest.mark.parametrize("since", [{"position": 0}, {"position": 5, "since": timezone.now()}])
def test_what_makes_no_sense_is_refused(sold, since):
    with pytest.raises(Refused):
        asked(**since)
    assert not RehearsalRun.objects.exists()


def test_a_command_asks_for_one(sold):
    told = StringIO()
    call_command("sagas", "request-rehearsal", "sale", "--yes", "--by=ada", stdout=told)
    run = RehearsalRun.objects.get()
    assert told.getvalue() == f"sale: being rehearsed, as number {run.pk}.\n"
    assert Rehearse(target="sale").remaining() == 1
    tasks.rehearse(run.pk)
    assert Rehearse(target="sale").remaining() == 0


def test_of_a_saga_that_was_taken_out_meanwhile_it_says_so_and_is_over(sold):
    run = asked()
    RehearsalRun.objects.filter(pk=run.pk).update(saga="gone")
    run = carried_out(run)
    assert run.error == "No saga is declared as 'gone'."
    assert run.finished_at
