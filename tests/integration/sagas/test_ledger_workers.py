"""Who carries out the ledger: the workers of an effect's queue, and never all of them one effect."""

import psutil
import pytest

from sagas.models import Delivery
from tests.integration import shop
from tests.integration.processes import clock, eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")

WELCOME, CONFIRMATION = "mail.welcome", "mail.order-confirmation"


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
        eventually(lambda: done() == {WELCOME, CONFIRMATION})
        assert owners(WELCOME) <= processes_of(general)
        assert owners(CONFIRMATION) <= processes_of(own)
    assert len(server.received) == 2


def test_a_provider_that_hangs_keeps_no_other_effect_from_acting():
    with mail_server() as (server, url), worker(EMAIL_URL=url, EMAIL_TIMEOUT="60", concurrency=2), clock():
        server.slow.add("slow.example")
        shop.customer(domain="slow.example")
        assert server.held.wait(30)
        others = [shop.customer() for _ in range(2)]
        shop.pay(shop.order(others[0], shop.conference_on_sale()))
        eventually(lambda: CONFIRMATION in done())
        (mail,) = server.received
        assert "confirmed" in mail["Subject"].lower()
        assert WELCOME not in done()
        server.slow.clear()
        eventually(lambda: Delivery.objects.filter(status="done").count() == 4)
    assert len({mail["Message-ID"] for mail in server.received}) == len(server.received) == 4
