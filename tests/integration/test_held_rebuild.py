"""A rebuild that is held shows what would change, and waits for somebody to approve it or to throw it away."""

import json
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from eventstore.context import new_id
from eventstore.models import SubscriberRow
from eventstore.operations.base import perform
from ordering.models import OrderSummary
from projections.errors import NeedsAnother, NothingHeld
from projections.models import Generation, Part
from projections.operations import Approve, Cancel, Rebuild
from projections.rebuild import builder, generations
from projections.status import projection_statuses
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NAME = "order-summaries"


@pytest.fixture
def orders():
    """Two that are paid, and one that isn't."""
    conference = shop.conference_on_sale()
    placed = [shop.order(shop.customer(), conference) for _ in range(3)]
    for order in placed[:2]:
        shop.pay(order)
    return placed


@pytest.fixture
def mistake(orders, monkeypatch):
    """Code that takes what came in for twice as much, and forgets to say that an order is confirmed."""
    projection = generations.projection_named(NAME)
    fold = dict(projection._fold)

    def received(row, event, meta):
        fold["finance.payment-received"](row, event, meta)
        row.received += event.amount.amount

    monkeypatch.setitem(projection._fold, "finance.payment-received", received)
    monkeypatch.setitem(projection._fold, "order.confirmed", lambda row, event, meta: None)


def rows():
    return list(OrderSummary.objects.order_by("pk").values())


def held(by="ada"):
    return builder.complete(generations.rebuild(NAME, hold=True, requested_by=by))


def doing():
    (shown,) = (each.building for each in projection_statuses() if each.name == NAME)
    return [each.doing for each in shown]


def test_a_mistake_is_shown_by_column_and_in_money_before_it_touches_a_row(orders, mistake):
    before = rows()
    generation = held()
    assert (generation.status, generation.compared, generation.differing) == ("building", 3, 2)
    assert generation.changes["kinds"] == {"differs": 2}
    assert generation.changes["columns"]["received"] == generation.changes["columns"]["status"] == 2
    sums = {each["column"]: each for each in generation.changes["sums"]}
    assert sums["received"] == {"column": "received", "of": "EUR", "live": "199.0000", "fresh": "398.0000"}
    assert sums["total"]["live"] == sums["total"]["fresh"]
    assert generation.compared_upto == SubscriberRow.objects.get(pk=NAME).checkpoint
    shown = generation.differences.get(key=str(orders[0])).columns
    assert shown["status"] == ["confirmed", "awaiting_payment"]
    assert doing() == ["waits for an approval: 2 of 3 rows would change"]
    perform(Cancel(target=NAME), by="bob")
    assert builder.complete(Generation.objects.get()).status == "building"
    for part in Part.objects.all():
        builder.build(part.pk)
    generation.refresh_from_db()
    assert (generation.status, generation.made) == ("cancelled", False)
    assert rows() == before


def test_what_is_held_is_kept_caught_up_and_goes_live_with_all_that_came_since_once_it_is_approved(orders):
    generation = held()
    assert (generation.differing, generation.changes["kinds"]) == (0, {})
    shop.pay(orders[2])
    for part in generation.parts.all():
        assert builder.build(part.pk)
    (part,) = generation.parts.all()
    assert part.checkpoint == SubscriberRow.objects.get(pk=NAME).checkpoint > generation.compared_upto
    generation.refresh_from_db()
    assert generation.status == "building"
    shop.order(shop.customer(), OrderSummary.objects.get(pk=orders[0]).conference_id)
    before = rows()
    perform(Approve(target=NAME), by="bob", reason="Nothing would change.")
    generation.refresh_from_db()
    assert builder.complete(generation).status == "live"
    assert generation.approved_by == "bob"
    assert rows() == before
    assert OrderSummary.objects.filter(status="confirmed").count() == 3


def test_what_its_events_never_said_would_be_gone_and_what_is_missing_be_there(orders):
    OrderSummary.objects.filter(pk=orders[0]).delete()
    stray = OrderSummary.objects.get(pk=orders[1])
    stray.pk, stray.received = new_id(), Decimal(7)
    stray.save(force_insert=True)
    generation = held()
    assert generation.changes["kinds"] == {"missing": 1, "extra": 1}
    sums = {each["column"]: each for each in generation.changes["sums"]}
    assert (sums["received"]["live"], sums["received"]["fresh"]) == ("106.5000", "199.0000")


def test_there_is_nothing_to_approve_before_all_is_compared_and_after_it_is_approved(orders):
    with pytest.raises(NothingHeld):
        generations.approve(NAME, by="bob")
    generation = generations.rebuild(NAME, hold=True, requested_by="ada")
    with pytest.raises(NothingHeld):
        generations.approve(NAME, by="bob")
    builder.complete(generation)
    generations.approve(NAME, by="bob")
    with pytest.raises(NothingHeld):
        generations.approve(NAME, by="carol")


def test_where_two_have_to_agree_nobody_approves_what_they_asked_for(orders, settings):
    settings.PROJECTIONS_APPROVED_BY_ANOTHER = True
    generation = held(by="ada")
    with pytest.raises(NeedsAnother):
        perform(Approve(target=NAME), by="ada", reason="It is fine.")
    generation.refresh_from_db()
    assert generation.approved_by == ""
    perform(Approve(target=NAME), by="bob", reason="It is fine.")


def test_a_command_holds_tells_and_approves(orders, mistake):
    told = StringIO()
    call_command("projections", "rebuild", NAME, "--hold", "--yes", "--by=ada", stdout=told)
    generation = builder.complete(Generation.objects.get())
    assert Rebuild(target=NAME, hold=True).remaining() == 0
    result = Rebuild(target=NAME, hold=True).result()
    assert (result.told["generation"], result.told["differing"], result.fault) == (generation.pk, 2, "")
    assert {row["key"] for row in result.told["rows"]} == {str(order) for order in orders[:2]}
    told = StringIO()
    call_command("projections", "approve", NAME, "--yes", "--by=bob", "--reason=meant", "--json", stdout=told)
    assert json.loads(told.getvalue())["outcome"] == f"generation {generation.pk} is caught up and then swapped in"
    generation.refresh_from_db()
    assert builder.complete(generation).status == "live"


def test_staff_see_on_its_page_what_would_change_and_approve_it_there(orders, mistake):
    generation = held()
    staff = Client()
    staff.force_login(User.objects.create_superuser("bob"))
    panel = staff.get("/admin/projections/generation/").content.decode()
    assert f'id="approve-{NAME}"' in panel
    assert "2 of 3 rows would change" in panel
    page = staff.get(f"/admin/projections/generation/{generation.pk}/change/").content.decode()
    assert "sum of <code>received</code>, EUR" in page
    assert "199.0000 · 398.0000" in page
    asked = staff.get(reverse("admin:eventstore_operation", args=["rebuild", NAME]), {"hold": "on"}).content.decode()
    assert "kept beside it until somebody approves" in asked
    address = reverse("admin:eventstore_operation", args=["approve", NAME])
    assert "Of 3 rows of order-summaries, 2 differed" in staff.get(address).content.decode()
    staff.post(address, {"reason": "It is meant.", "confirmed": "yes"})
    generation.refresh_from_db()
    assert generation.approved_by == "bob"
