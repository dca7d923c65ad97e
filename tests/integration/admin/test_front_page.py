"""What the front page says is wrong, since when, whom it concerns, and what it costs to say so."""

import re
from datetime import timedelta

import pytest
from django.core import checks
from django.db import connection
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from benchmarks.wire import Trip, traced
from eventstore import database
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import Incident, ParkedEvent, Sample, SubscriberRow
from eventstore.monitoring import samples
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from eventstore.subscriptions.registry import registry
from ordering.domain.customer import ChangeCustomer
from ordering.models import OrderSummary
from sagas.models import Delivery, OutboxCommand
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NAME = "customer-profiles"
SEE = "eventstore.view_subscriberrow"
MOST_STATEMENTS = 15


def ago(**length):
    return timezone.now() - timedelta(**length)


@pytest.fixture
def front(client):
    """The front page, as those see it who have logged in."""

    def read(url="/admin/"):
        answer = client.get(url)
        answer.text = " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())
        return answer

    return read


def told(page):
    return [(each.about, each.text, each.grave) for each in page.context["problems"]]


def park(number, *, subscriber=NAME, error="ValueError", key=None, **fields):
    ParkedEvent.objects.bulk_create(
        [
            ParkedEvent(subscriber=subscriber, key=str(key or new_id()), position=each, error=error, **fields)
            for each in range(1, number + 1)
        ]
    )


def statements(client, url="/admin/"):
    """What travels to the database for a page that was asked for before."""
    client.get(url)
    trips = list[Trip]()
    with traced(database.session(), trips):
        assert client.get(url).status_code == 200
    return [statement for trip in trips for statement in trip.statements]


def test_all_is_well_in_one_line(client, staff, front):
    shop.customer()
    staff(superuser=True)
    page = front()
    assert page.context["found"] == 0
    assert "All is well" in page.text


def test_a_parked_event_is_told_with_its_age_its_error_and_whom_it_concerns(client, staff, front, poison):
    ada = shop.customer("Ada")
    dispatch(ChangeCustomer(customer_id=ada, name="poison"))
    ParkedEvent.objects.update(parked_at=ago(minutes=14))
    staff(superuser=True)
    page = front()
    (problem,) = page.context["problems"]
    assert (problem.about, problem.text) == (NAME, "failed on 1 event")
    assert "1 problem, for 14 min" in page.text
    assert "no_poison" in problem.error
    (customers,) = problem.affected
    link = reverse("admin:ordering_customerprofile_change", args=[ada])
    assert (customers.noun, customers.number, customers.shown) == ("customer", 1, [("Ada", link)])
    assert f'href="{link}"' in page.content.decode()


def test_orders_and_their_customers_are_told_of_and_the_rest_is_counted(client, staff, front):
    conference = shop.conference_on_sale()
    for order in [shop.order(shop.customer(), conference) for _ in range(4)]:
        park(1, subscriber="order-summaries", key=order)
    staff(superuser=True)
    page = front()
    (problem,) = page.context["problems"]
    assert [(each.noun, each.number, each.others) for each in problem.affected] == [
        ("order", 4, 2),
        ("customer", 4, 2),
    ]
    assert OrderSummary.objects.filter(number=problem.affected[0].shown[0][0]).exists()
    assert "and 2 others" in page.text


def test_what_has_no_row_yet_is_known_by_its_stream(client, staff, front):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    number = OrderSummary.objects.get().number
    OrderSummary.objects.all().delete()
    SubscriberRow.objects.filter(name="order-summaries").update(checkpoint=0, status="halted", last_error="KeyError")
    staff(superuser=True)
    (problem,) = front().context["problems"]
    orders, customers = problem.affected
    assert orders.shown == [(number, reverse("admin:ordering_ordersummary_change", args=[order]))]
    assert customers.number == 1


def test_a_function_that_is_to_tell_whom_something_concerns_has_to_be_there(settings):
    settings.EVENTSTORE_AFFECTED = ["ordering.affected.nobody"]
    assert [each.id for each in checks.run_checks() if "nobody" in each.msg] == ["eventstore.E019"]


def test_a_deliberate_pause_is_one_row_that_says_who_and_why_and_what_waits(client, staff, front):
    shop.customer()
    perform(Pause(target=NAME), by="admin", reason="the disk is full")
    shop.customer()
    Delivery.objects.filter(position=1).update(status="waiting", waits_for=NAME, wait_reason="checkpoint")
    staff(superuser=True)
    page = front()
    assert told(page) == [(NAME, "was paused by admin: the disk is full", False)]
    (problem,) = page.context["problems"]
    assert problem.means == ["1 event waits", "1 welcome mail waits"]
    assert problem.url == reverse("admin:eventstore_operation", args=["resume", NAME])
    assert "1 thing worth a look, for" in page.text


def test_an_open_incident_dates_a_problem_and_is_not_told_twice(client, staff, front):
    shop.customer()
    park(1)
    began = ago(hours=3)
    Incident.objects.create(
        kind="parked", about=NAME, text="failed on 1 event", began_at=began, seen_at=began, raised_at=began
    )
    staff(superuser=True)
    (problem,) = front().context["problems"]
    assert (problem.since, problem.lasts) == (began, "3 h")


def test_what_follows_from_a_queue_without_a_worker_is_not_told_by_itself(client, staff, front):
    from tests.integration.admin.test_presence import pulse

    shop.customer()
    pulse("other@host", "rebuild", "clock", "effects")
    pulse("beat@host")
    pulse("live@host", "live", ago=100)
    SubscriberRow.objects.filter(mode="async").update(checkpoint=0, moved_at=ago(minutes=2))
    staff(superuser=True)
    assert [each.about for each in front().context["problems"]] == ["queue live"]


def test_stuck_sagas_are_told_by_the_command_that_failed(client, staff, front):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    ids = {name: new_id() for name in ("command_id", "root", "correlation_id", "causation_id")}
    OutboxCommand.objects.create(
        saga="sale", key=str(order), type="order.confirm", data={}, status="parked", attempts=8, error="KeyError",
        hops=0, actor="saga:sale", **ids,
    )  # fmt: skip
    staff(superuser=True)
    (problem,) = front().context["problems"]
    assert (problem.about, problem.text, problem.error) == (
        "1 sale",
        "is stuck: order.confirm failed 8 times",
        "KeyError",
    )
    assert [each.noun for each in problem.affected] == ["order", "customer"]


def test_mails_that_fail_are_told_while_they_are_tried_again(client, staff, front):
    shop.customer("Ada")
    Delivery.objects.filter(effect="mail.welcome").update(status="pending", attempts=2, error="refused")
    staff(superuser=True)
    (problem,) = front().context["problems"]
    assert (problem.about, problem.text, problem.grave) == ("1 welcome mail", "failed and is tried again", False)
    assert problem.affected[0].shown[0][0] == "Ada"


def test_the_list_is_never_longer_than_one_look(client, staff, front):
    shop.customer()
    for each in registry:
        park(1, subscriber=each.name)
    staff(superuser=True)
    page = front()
    number = len(list(registry))
    assert len(page.context["problems"]) == 5
    assert f"{number} problems" in page.text
    assert f"and {number - 5} more" in page.text
    assert len(front(reverse("problems")).context["problems"]) == number


def test_who_may_not_see_a_thing_is_told_neither_its_problem_nor_whom_it_concerns(client, staff, front):
    order = shop.order(shop.customer("Ada"), shop.conference_on_sale())
    park(1, subscriber="order-summaries", key=order)
    Delivery.objects.filter(effect="mail.welcome").update(status="failed", error="refused")
    staff(SEE)
    page = front()
    assert [(each.about, each.affected) for each in page.context["problems"]] == [("order-summaries", [])]
    assert "Ada" not in page.text
    assert "welcome mail" not in page.text
    assert "ordersummary" not in page.content.decode()


def test_who_sees_only_a_part_is_not_told_that_all_is_well(client, staff, front):
    shop.customer()
    park(1)
    staff("ordering.view_ordersummary")
    page = front()
    assert "Nothing that you may see is wrong" in page.text
    assert NAME not in page.text


def test_the_front_page_takes_as_many_statements_however_much_is_wrong(client, staff):
    conference = shop.conference_on_sale()
    for order in [shop.order(shop.customer(), conference) for _ in range(3)]:
        park(1, subscriber="order-summaries", key=order)
    staff(superuser=True)
    SubscriberRow.objects.all().update(checkpoint=0, moved_at=ago(hours=1))
    SubscriberRow.objects.filter(name=NAME).update(status="paused")
    park(10_000)
    Delivery.objects.filter(effect="mail.welcome").update(status="failed", error="refused")
    found = statements(client)
    assert len(found) <= MOST_STATEMENTS, found
    assert len(statements(client, reverse("dashboard-status"))) == len(found)


def test_a_tile_has_its_figure_and_the_last_hour_as_a_chart_that_is_said_in_words(client, staff, front):
    samples.take()
    Sample.objects.update(minute=F("minute") - timedelta(minutes=1))
    shop.order(shop.customer(), shop.conference_on_sale())
    samples.take()
    staff(superuser=True)
    page = front()
    assert [each.title for each in page.context["tiles"]] == ["Orders", "Events", "Worst lag", "Failures", "Mails"]
    assert page.context["tiles"][0].figure == "1"
    assert 'aria-label="Orders a minute in the last hour: 1 in all, at most 1"' in page.content.decode()


def test_who_may_not_see_orders_is_not_told_how_many_come_in(client, staff, front):
    samples.take()
    staff("eventstore.view_storedevent")
    assert [each.title for each in front().context["tiles"]] == ["Events"]


def test_of_very_many_parked_events_some_tell_whom_they_concern(client, staff, front):
    shop.customer()
    park(10_000)
    connection.cursor().execute("ANALYZE eventstore_parked")
    staff(superuser=True)
    begun = timezone.now()
    page = front()
    assert "failed on 10,000 events" in page.text
    assert timezone.now() - begun < timedelta(seconds=3)
