"""Who carries out the ledger: the workers of an effect's queue, and never all of them one effect."""

import psutil
import pytest

from eventstore.operations.base import perform
from sagas.models import Delivery
from sagas.operations import RetryDelivery
from tests.crash.deadly import die
from tests.integration import shop
from tests.integration.eventstore.probes import registered
from tests.integration.processes import clock, eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")

WELCOME, REQUEST, CONFIRMATION = "mail.welcome", "mail.payment-requested", "mail.order-confirmation"


def owners(effect):
    """The processes that carried out an effect."""
    return {
        int(owner.rpartition(":")[2])
        for owner in Delivery.objects.filter(effect=effect).values_list("owner", flat=True)
    }


def processes_of(program):
    main = psutil.Process(program.process.pid)
    return {main.pid, *(child.pid for child in main.children(recursive=True))}


def done():
    return set(Delivery.objects.filter(status="done").values_list("effect", flat=True))


def test_an_effect_with_a_queue_of_its_own_is_carried_out_by_the_workers_of_that_queue_alone(settings):
    settings.EFFECTS_QUEUES = {CONFIRMATION: "confirmations"}
    said = f"{CONFIRMATION}=confirmations"
    with (
        mail_server() as (server, url),
        worker(EMAIL_URL=url, EFFECTS_QUEUES=said) as general,
        worker(EMAIL_URL=url, EFFECTS_QUEUES=said, queues="confirmations", concurrency=1) as own,
        clock(EFFECTS_QUEUES=said),
    ):
        shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
        eventually(lambda: done() == {WELCOME, REQUEST, CONFIRMATION})
        assert owners(WELCOME) <= processes_of(general)
        assert owners(CONFIRMATION) <= processes_of(own)
    assert len(server.received) == 3


def test_a_provider_that_hangs_keeps_no_other_effect_from_acting():
    with mail_server() as (server, url), worker(EMAIL_URL=url, EMAIL_TIMEOUT="60", concurrency=2), clock():
        server.slow.add("slow.example")
        shop.customer(domain="slow.example")
        assert server.held.wait(30)
        others = [shop.customer() for _ in range(2)]
        shop.pay(shop.order(others[0], shop.conference_on_sale()))
        eventually(lambda: {REQUEST, CONFIRMATION} <= done())
        assert sorted(mail["Subject"].split()[-1] for mail in server.received) == ["confirmed", "pay"]
        assert WELCOME not in done()
        server.slow.clear()
        eventually(lambda: Delivery.objects.filter(status="done").count() == 5)
    assert len({mail["Message-ID"] for mail in server.received}) == len(server.received) == 5


def test_an_effect_that_kills_its_worker_has_failed_after_its_last_attempt_until_staff_retry_it(tmp_path):
    notes, app = tmp_path / "notes", "tests.crash.deadly_app"

    def failed():
        return Delivery.objects.filter(effect=die.name, status="failed").first()

    with registered(die):
        shop.customer()
        with worker(app=app, concurrency=1, NOTES=str(notes), EFFECTS_LEASE_SECONDS="1"), clock(app=app):
            row = eventually(failed, 60)
            assert (row.attempts, len(notes.read_text().split())) == (die.retries + 1, die.retries + 1)
            assert row.error.startswith("Whoever acted has died, in the last of 2 attempts")
            assert row.finished_at
            perform(RetryDelivery(target=die.name), by="anna")
            row = eventually(failed, 60)
            assert (row.attempts, len(notes.read_text().split())) == (die.retries + 1, 2 * (die.retries + 1))
    assert len(set(notes.read_text().split())) == 1
