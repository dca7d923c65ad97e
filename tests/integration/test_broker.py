"""The broker is only a doorbell: without it people still buy, and everything catches up when it is back."""

import re
from collections.abc import Iterator

import pytest

from config import bundled
from config.bundled.valkey import Valkey
from eventstore import store
from eventstore.models import SubscriberRow
from ordering.models import DailySales, OrderSummary
from sagas.models import Delivery
from tests.integration.processes import clock, eventually, program, worker
from tests.servers import temporary_home

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.bundled]

SALES = 4
A_FEW_SECONDS = 5


@pytest.fixture
def valkey() -> Iterator[bundled.Servers]:
    """A broker of this test's own, that may be frozen and killed."""
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        yield servers


def sell_without_broker(url: str) -> None:
    before = OrderSummary.objects.filter(status="confirmed").count()
    with program("-m", "tests.integration.seller", str(SALES), ready="done", REDIS_URL=url) as seller:
        durations = [float(seconds) for seconds in re.findall(r"sold in ([\d.]+) s", seller.output)]
    assert len(durations) == SALES
    # Each of these is a registration, an order and a payment.
    assert max(durations) < 3 * A_FEW_SECONDS, durations
    assert OrderSummary.objects.filter(status="confirmed").count() == before + SALES


def everything_caught_up() -> bool:
    behind = SubscriberRow.objects.filter(checkpoint__lt=store.head()).exists()
    return not behind and not Delivery.objects.exclude(status="done").exists()


def test_orders_are_sold_while_the_broker_refuses_and_while_it_is_frozen(valkey):
    url = valkey.redis_url
    with worker(REDIS_URL=url), clock(REDIS_URL=url):
        valkey.valkey.freeze()
        sell_without_broker(url)
        valkey.valkey.thaw()
        eventually(everything_caught_up, 60)

        valkey.valkey.kill()
        sell_without_broker(url)
        valkey.valkey.start()
        eventually(everything_caught_up, 60)


@pytest.mark.parametrize("lose", [Valkey.kill, Valkey.freeze])
def test_async_read_models_are_fed_while_the_broker_is_away(valkey, lose):
    url = valkey.redis_url
    with worker(REDIS_URL=url):
        lose(valkey.valkey)
        sell_without_broker(url)
        eventually(lambda: SubscriberRow.objects.get(pk="sales-by-day").checkpoint == store.head(), 60)
    assert DailySales.objects.get().payments == SALES


def test_a_worker_stops_when_it_is_asked_to_though_the_broker_is_gone(valkey):
    with worker(REDIS_URL=valkey.redis_url) as stopped:
        valkey.valkey.kill()
        stopped.process.terminate()
        assert stopped.process.wait(90) == 0
