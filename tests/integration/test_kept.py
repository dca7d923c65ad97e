"""A whole read model as of a position is folded once, kept under a label, and stays as it is."""

import csv
import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from eventstore import store
from eventstore.commands import dispatch
from eventstore.errors import Refused
from eventstore.models import DiscardedEvent
from eventstore.operations.base import perform
from ordering.domain.order import CancelOrder
from ordering.models import OrderSummary
from projections import kept, tasks
from projections.as_of import row_as_of
from projections.errors import LabelTaken, NothingKept
from projections.in_memory import columns
from projections.models import Generation, Part
from projections.operations import DropKept, Keep, Rebuild
from projections.rebuild import builder, generations
from tests.integration import shop
from tests.integration.processes import clock, eventually, worker

pytestmark = pytest.mark.usefixtures("clean")

NAME, LABEL = "order-summaries", "before the refunds"


@pytest.fixture
def sold():
    """Three orders that are paid, and the position at which they were; then all are cancelled, and another comes."""
    conference = shop.conference_on_sale()
    orders = [shop.order(shop.customer(), conference) for _ in range(3)]
    for order in orders:
        shop.pay(order)
    upto = store.head()
    for order in orders:
        dispatch(CancelOrder(order_id=order))
    shop.order(shop.customer(), conference)
    return orders, upto


def folded(**asked):
    perform(Keep(target=NAME, label=LABEL, **asked), by="ada")
    return builder.complete(Generation.objects.latest("id"))


def told(generation):
    return [dict(each) for each in csv.DictReader(StringIO(b"".join(kept.as_csv(generation)).decode()))]


def test_all_rows_are_what_each_of_them_was_at_that_position(sold):
    orders, upto = sold
    generation = folded(position=upto)
    assert (generation.status, generation.made, kept.count(generation)) == ("kept", True, 3)
    rows = {each["order_id"]: each for each in kept.rows(generation, 10)}
    for order in orders:
        row = row_as_of(generations.projection_named(NAME), str(order), upto)
        assert row
        then = columns(row)
        assert rows[order]["status"] == then["status"] == "confirmed"
        assert rows[order]["as_of"] == then["as_of"] <= upto
        assert rows[order]["received"] == shop.PRICE.amount
    assert {each["status"] for each in told(generation)} == {"confirmed"}
    assert [each["order_id"] for each in told(generation)] == sorted(map(str, orders))


def test_it_stays_as_it_is_whatever_becomes_of_the_live_rows_and_nobody_can_write_to_it(sold):
    _, upto = sold
    generation = folded(position=upto)
    before = told(generation)
    builder.complete(generations.rebuild(NAME))
    builder.complete(generations.verify(NAME))
    shop.order(shop.customer(), OrderSummary.objects.latest("placed_at").conference_id)
    assert told(generation) == before
    write = f"UPDATE {generation.schema}.ordering_ordersummary SET status = 'lost'"
    with connection.cursor() as cursor, pytest.raises(ProgrammingError, match="permission denied"):
        cursor.execute(write)


def test_a_time_means_the_position_that_the_log_had_then(sold):
    _, upto = sold
    moment = store.read_one(upto).recorded_at
    generation = folded(time=moment)
    assert generation.target == upto
    with pytest.raises(Refused, match="yet to come"):
        perform(Keep(target=NAME, label="tomorrow", time=timezone.now() + timedelta(days=1)), by="ada")


def test_one_label_is_one_thing_until_that_is_dropped(sold):
    _, upto = sold
    generation = folded(position=upto)
    with pytest.raises(LabelTaken):
        perform(Keep(target=NAME, label=f" {LABEL} ", position=1), by="ada")
    perform(DropKept(target=NAME, label=LABEL), by="ada", reason="The report is written.")
    for part in Part.objects.filter(generation=generation):
        tasks.fill(part.pk)
    generation.refresh_from_db()
    assert (generation.status, generation.made) == ("dropped", False)
    with pytest.raises(NothingKept):
        generations.kept(NAME, LABEL)
    assert folded(position=1).status == "kept"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"position": 10**9}, "where the log ends"),
        ({"position": -1}, "where the log ends"),
        ({}, "As of a position or a time"),
        ({"position": 1, "time": timezone.now()}, "As of a position or a time"),
    ],
)
def test_what_can_not_be_kept_is_refused_and_leaves_nothing(sold, asked, why):
    with pytest.raises(Refused, match=why):
        perform(Keep(target=NAME, label=LABEL, **asked), by="ada")
    with pytest.raises(Refused, match="label"):
        perform(Keep(target=NAME, label="  ", position=1), by="ada")
    with pytest.raises(Refused, match="looks up rows of others"):
        perform(Keep(target="journal", label=LABEL, position=1), by="ada")
    assert not Generation.objects.exists()


def test_it_is_folded_by_a_worker_while_the_live_rows_are_rebuilt(sold):
    _, upto = sold
    perform(Keep(target=NAME, label=LABEL, position=upto), by="ada")
    perform(Rebuild(target=NAME), by="ada")
    with worker(queues="rebuild"), clock():
        eventually(lambda: not Generation.objects.filter(status="building").exists(), 60)
    assert {each.purpose: each.status for each in Generation.objects.exclude(status="old")} == {
        "rebuild": "live",
        "as_of": "kept",
    }


def test_what_was_discarded_is_left_out(sold):
    orders, upto = sold
    placed = store.read_stream(orders[0])[0]
    DiscardedEvent.objects.create(
        subscriber=NAME, key=str(orders[0]), position=placed.position, by="ada", reason="a trial", error="no"
    )
    rows = told(folded(position=upto))
    assert {each["order_id"] for each in rows if each["number"]} == {str(order) for order in orders[1:]}


def test_a_command_keeps_lists_and_writes_a_file(sold, tmp_path):
    _, upto = sold
    said = StringIO()
    call_command("projections", "keep", NAME, f"--label={LABEL}", f"--position={upto}", "--yes", stdout=said)
    builder.complete(Generation.objects.get())
    assert f"“{LABEL}” is being folded" in said.getvalue()
    said = StringIO()
    call_command("projections", "kept", NAME, "--json", stdout=said)
    assert json.loads(said.getvalue())["kept"] == [{"label": LABEL, "position": upto, "rows": 3}]
    call_command("projections", "kept", NAME, f"--label={LABEL}", f"--file={tmp_path / 'rows.csv'}")
    said = StringIO()
    call_command("projections", "kept", NAME, f"--label={LABEL}", stdout=said)
    assert said.getvalue() == (tmp_path / "rows.csv").read_text()
    assert len(said.getvalue().splitlines()) == 4


def test_staff_have_the_rows_as_a_file_if_they_may_see_the_live_ones(sold):
    _, upto = sold
    generation = folded(position=upto)
    address = reverse("admin:projections_kept_rows", args=[generation.pk])
    somebody = User.objects.create_user("bob", is_staff=True)
    somebody.user_permissions.add(Permission.objects.get(codename="view_generation"))
    client = Client()
    client.force_login(somebody)
    page = client.get(reverse("admin:projections_generation_change", args=[generation.pk])).content.decode()
    assert f"3 as of position {upto:,}" in page
    assert client.get(address).status_code == 403
    somebody.user_permissions.add(Permission.objects.get(codename="view_ordersummary"))
    answer: Any = client.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert b"".join(answer.streaming_content).count(b"confirmed") == 3
    assert client.get(reverse("admin:projections_kept_rows", args=[generation.pk + 1])).status_code == 404
