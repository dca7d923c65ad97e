"""What operators see of a subscriber, and what they may do to it."""

from datetime import date
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from eventstore import store
from eventstore.admin.lists import target_link
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import (
    DiscardedEvent,
    HandlerWarning,
    Incident,
    OperatorAction,
    ParkedEvent,
    SkippedRange,
    SubscriberRow,
)
from eventstore.operations.base import operations
from eventstore.subscriptions.subscriber import Rank
from ordering.domain.customer import ChangeCustomer
from ordering.models import CustomerProfile
from sagas.models import WebhookEndpoint
from sagas.webhooks import endpoints
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NAME = "customer-profiles"
LAZY = "sales-by-day"
"""Fed by workers, of which there are none here."""

SEE = "eventstore.view_subscriberrow"
OPERATE = "eventstore.operate_subscriber"
SETTLE = "eventstore.resolve_parked"
SKIP, DISCARD = "eventstore.skip_events", "eventstore.discard_parked"
PAGE = f"/admin/eventstore/subscriberrow/of/{NAME}/"
PARKED = "/admin/eventstore/parkedevent/"


def url(operation, subscriber=NAME):
    return reverse("admin:eventstore_operation", args=[operation, subscriber])


def row(name=NAME):
    return SubscriberRow.objects.get(name=name)


def actions():
    return list(OperatorAction.objects.order_by("id").values_list("operation", "target", "by", "reason", "refused"))


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def text(answer):
    return " ".join(answer.content.decode().split())


@pytest.fixture
def parked(poison):
    """A customer whose new name is parked, with another change behind it."""
    customer = shop.customer("Ada")
    dispatch(ChangeCustomer(customer_id=customer, name="poison"))
    dispatch(ChangeCustomer(customer_id=customer, birth_date=date(1990, 12, 10)))
    return customer


def position_of(customer):
    return ParkedEvent.objects.filter(key=str(customer)).order_by("position").values_list("position", flat=True)[0]


def test_a_subscriber_is_paused_and_resumed_and_both_are_recorded(client, staff):
    shop.customer()
    staff(SEE, OPERATE)
    assert "is not fed until somebody resumes it" in text(client.get(url("pause")))
    assert row().status == "running"
    answer = client.post(url("pause"), follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert said(answer) == [f"{NAME}: paused."]
    assert row().status == "paused"
    assert "1 events wait for it" not in text(client.get(url("resume")))
    client.post(url("resume"))
    assert row().status == "running"
    assert actions() == [("pause", NAME, "ada", "", False), ("resume", NAME, "ada", "", False)]


@pytest.mark.parametrize("operation", ["pause", "resume", "skip", "rewind", "reshard", "retry", "discard"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_its_permission_an_operation_is_not_even_shown(client, staff, parked, operation, method):
    permissions = {SEE, OPERATE, SKIP, SETTLE, DISCARD, "eventstore.view_parkedevent"}
    staff(*(permissions - {operations[operation].permission}))
    said = {"upto": 1, "to": 0, "shards": 2, "key": str(parked), "positions": position_of(parked), "reason": "because"}
    assert getattr(client, method)(url(operation), said).status_code == 403
    assert actions() == []
    assert ParkedEvent.objects.count() == 2


def test_what_is_refused_is_said_on_the_page_and_changes_nothing(client, staff):
    shop.customer()
    staff(SEE, OPERATE, SKIP)
    refused = client.post(url("resume"))
    assert f"{NAME} is running." in text(refused)
    assert actions() == [("resume", NAME, "ada", "", True)]
    refused = client.get(url("skip"), {"upto": 1})
    assert "pause it first" in text(refused)
    assert "Yes, skip" not in text(refused)


def test_a_subscriber_that_the_code_no_longer_has_can_be_retired_and_nothing_else(client, staff):
    gone = {"rank": Rank.PROJECTION, "mode": "sync", "version": 1, "types_hash": "", "checkpoint": 0}
    SubscriberRow.objects.create(name="gone", subscriber="gone", status="paused", **gone)
    page = reverse("admin:eventstore_subscriber", args=["gone"])
    user = staff(SEE, OPERATE, SETTLE)
    assert client.get(page).context["offers"] == []
    assert client.post(url("retire", "gone"), {"reason": "because"}).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="retire_subscriber"))
    assert client.get(page).context["offers"] == [("retire", "Retire")]
    assert client.get(url("retire")).status_code == 404
    assert "gone is forgotten for good: that it stood at 0" in text(client.get(url("retire", "gone")))
    answer = client.post(url("retire", "gone"), {"reason": "because", "next": page}, follow=True)
    assert answer.redirect_chain == [(reverse("admin:index"), 302)]
    assert said(answer) == ["gone: retired."]
    assert not SubscriberRow.objects.filter(name="gone").exists()
    assert actions() == [("retire", "gone", "ada", "because", False)]


def test_what_a_subscriber_has_missed_that_the_code_does_not_know_cannot_be_told(client, staff):
    shop.customer()
    gone = {"rank": Rank.PROJECTION, "mode": "sync", "version": 1, "types_hash": "", "checkpoint": 0}
    SubscriberRow.objects.create(name="gone", subscriber="gone", status="running", **gone)
    staff(SEE)
    page = text(client.get(reverse("admin:eventstore_subscriber", args=["gone"])))
    assert "They can't be told: this code doesn't know what it wants." in page
    assert "None: it has applied everything" not in page
    assert "None: it has applied everything" in text(client.get(reverse("admin:eventstore_subscriber", args=[NAME])))
    everybody = text(client.get(reverse("admin:eventstore_subscriberrow_changelist")))
    assert everybody.count("can't be told") == 1
    told = StringIO()
    call_command("projections", "status", stdout=told)
    assert told.getvalue().count("can't be told") == 1
    measured = client.get("/metrics").content.decode()
    assert 'boxoffice_subscriber_gap{subscriber="gone",why="parked"} 0.0' in measured
    assert 'boxoffice_subscriber_gap{subscriber="gone",why="pending"}' not in measured
    assert 'boxoffice_subscriber_gap{subscriber="gone",why="skipped"}' not in measured


def test_what_cannot_be_undone_needs_a_reason(client, staff):
    shop.customer()
    staff(SEE, OPERATE, SKIP)
    client.post(url("pause", LAZY))
    answer = client.post(url("skip", LAZY), {"upto": 1, "reason": " "})
    assert "This field is required." in text(answer)
    assert row(LAZY).checkpoint == 0
    assert [operation for operation, *_ in actions()] == ["pause"]


def test_an_operation_asks_for_what_it_needs_then_shows_what_it_touches_then_does_it(client, staff):
    shop.customer()
    staff(SEE, OPERATE, SKIP)
    client.post(url("pause", LAZY))
    asked = client.get(url("skip", LAZY))
    assert [field.name for field in asked.context["form"]] == ["upto"]
    assert "Enter a whole number." in text(client.get(url("skip", LAZY), {"upto": "soon"}))
    head = store.head()
    shown = client.get(url("skip", LAZY), {"upto": head})
    assert f"never hears of what it wants from position 1 to {head}" in text(shown)
    assert row(LAZY).checkpoint == 0
    client.post(url("skip", LAZY), {"upto": head, "reason": "a test sale"})
    assert row(LAZY).checkpoint == head
    (skipped,) = SkippedRange.objects.all()
    assert (skipped.after, skipped.upto, skipped.reason, skipped.by) == (0, head, "a test sale", "ada")
    assert actions()[-1] == ("skip", LAZY, "ada", "a test sale", False)


def test_a_subscriber_that_workers_feed_is_split_and_shown_as_one(client, staff):
    shop.customer()
    staff(SEE, OPERATE)
    assert "4 rows, each fed by" in text(client.get(url("reshard", LAZY), {"shards": 4}))
    client.post(url("reshard", LAZY), {"shards": 4})
    assert SubscriberRow.objects.filter(subscriber=LAZY).count() == 4
    listed = client.get("/admin/eventstore/subscriberrow/")
    (one,) = [each for each in listed.context["subscribers"] if each.name == LAZY]
    assert [place.shard for place in one.shards] == [0, 1, 2, 3]
    assert client.get(reverse("admin:eventstore_subscriberrow_change", args=[f"{LAZY} 2/4"])).context["name"] == LAZY
    refused = client.post(url("reshard", NAME), {"shards": 4})
    assert "only one that workers feed can be resharded" in text(refused)
    assert SubscriberRow.objects.filter(subscriber=NAME).count() == 1


def test_rewinding_what_counts_is_refused(client, staff):
    shop.customer()
    staff(SEE, OPERATE)
    assert "is not declared idempotent" in text(client.get(url("rewind"), {"to": 0}))
    assert "is not declared idempotent" in text(client.post(url("rewind"), {"to": 0, "reason": "again"}))
    assert row().checkpoint == store.head()


def test_all_keys_of_an_error_are_retried_at_once(client, staff, poison, parked):
    poison.take("wrong")
    other = shop.customer("wrong")
    staff(SEE, SETTLE)
    page = client.get(PAGE)
    found = {each.error: each.keys for each in page.context["about"].errors.rows}
    assert list(found.values()) == [1, 1]
    (error,) = [each for each in found if "no_poison" in each]
    poison.mend()
    answer = client.post(url("retry"), {"error": error, "next": PAGE}, follow=True)
    assert said(answer) == [f"{NAME}: 1 of 1 keys are live again, 2 events applied."]
    assert CustomerProfile.objects.get(pk=parked).name == "poison"
    assert list(ParkedEvent.objects.values_list("key", flat=True)) == [str(other)]


def test_what_still_fails_is_said_and_stays_parked(client, staff, parked):
    staff(SEE, SETTLE)
    answer = client.post(url("retry"), {"key": str(parked)}, follow=True)
    assert said(answer) == [f"{NAME}: 0 of 1 keys are live again, 0 events applied, 1 failed again."]
    assert [each.level_tag for each in answer.context["messages"]] == ["warning"]
    (key,) = answer.context["about"].keys.rows
    assert (key.key, key.queue, key.attempts, key.retry_at) == (str(parked), 2, 2, None)
    assert "no_poison" in key.error
    assert "fold" in key.traceback


def test_a_discarded_event_lets_those_behind_it_pass(client, staff, parked):
    staff(SEE, DISCARD)
    position = position_of(parked)
    shown = client.get(url("discard"), {"key": str(parked), "positions": position})
    assert "not in a rebuild either" in text(shown)
    client.post(url("discard"), {"key": str(parked), "positions": position, "reason": "a test customer"})
    assert not ParkedEvent.objects.exists()
    profile = CustomerProfile.objects.get(pk=parked)
    assert (profile.name, profile.birth_date) == ("Ada", date(1990, 12, 10))
    (discarded,) = DiscardedEvent.objects.all()
    assert (discarded.position, discarded.reason, discarded.by) == (position, "a test customer", "ada")
    page = text(client.get(PAGE))
    assert "a test customer" in page


def test_selected_events_are_retried_key_by_key_once_that_is_confirmed(client, staff, poison, parked):
    again = shop.customer("poison")
    staff("eventstore.view_parkedevent", SETTLE)
    selected = {"action": "retry_selected", "_selected_action": ParkedEvent.objects.values_list("pk", flat=True)}
    poison.mend()
    asked = client.post(PARKED, selected)
    assert "1 of its keys are tried again, each with all that waits for it. (2 times)" in text(asked)
    assert "Retry: 2 selected" in text(asked)
    assert ParkedEvent.objects.count() == 3
    answer = client.post(PARKED, selected | {"confirmed": "yes"}, follow=True)
    assert len(said(answer)) == 2
    assert not ParkedEvent.objects.exists()
    assert {str(profile.pk) for profile in CustomerProfile.objects.all()} == {str(parked), str(again)}
    assert [(operation, target) for operation, target, *_ in actions()] == [("retry", NAME)] * 2


def test_selected_events_are_discarded_with_a_reason(client, staff, parked):
    staff("eventstore.view_parkedevent", DISCARD)
    selected = {"action": "discard_selected", "_selected_action": ParkedEvent.objects.values_list("pk", flat=True)}
    assert "This field is required." in text(client.post(PARKED, selected | {"confirmed": "yes"}))
    assert ParkedEvent.objects.count() == 2
    client.post(PARKED, selected | {"confirmed": "yes", "reason": "a test customer"})
    assert not ParkedEvent.objects.exists()
    assert DiscardedEvent.objects.count() == 2
    assert actions() == [("discard", NAME, "ada", "a test customer", False)]


def test_one_refused_key_does_not_keep_the_others_from_being_settled(client, staff, poison, parked):
    ParkedEvent.objects.create(subscriber=f"{NAME}#7", key="k", position=1, error="KeyError")
    staff("eventstore.view_parkedevent", SETTLE)
    poison.mend()
    selected = {"action": "retry_selected", "_selected_action": ParkedEvent.objects.values_list("pk", flat=True)}
    answer = client.post(PARKED, selected | {"confirmed": "yes"}, follow=True)
    assert sum("No subscriber is declared" in each for each in said(answer)) == 1
    assert sum("live again" in each for each in said(answer)) == 1
    assert ParkedEvent.objects.count() == 1


def test_who_may_not_settle_is_offered_no_action(client, staff, parked):
    staff("eventstore.view_parkedevent", SEE)
    assert "retry_selected" not in text(client.get(PARKED))
    page = text(client.get(PAGE))
    assert "Retry" not in page
    assert "Discard" not in page


def test_parked_events_are_filtered_by_subscriber_and_by_error(client, staff, parked):
    error = ParkedEvent.objects.exclude(error="").get().error
    ParkedEvent.objects.create(subscriber=LAZY, key="k", position=1, error="KeyError")
    staff("eventstore.view_parkedevent")
    for chosen, subscribers in (({"error": error}, {NAME}), ({"subscriber": LAZY}, {LAZY}), ({}, {NAME, LAZY})):
        found = client.get(PARKED, chosen).context["cl"].result_list
        assert {each.subscriber for each in found} == subscribers


def test_only_operations_that_make_sense_have_a_button(client, staff, parked):
    staff(superuser=True)

    def offered(name):
        page = client.get(reverse("admin:eventstore_subscriber", args=[name]))
        return {operation for operation, _ in page.context["offers"]} & {
            "pause",
            "resume",
            "skip",
            "rewind",
            "reshard",
            "retry",
        }

    assert offered(NAME) == {"pause", "retry"}
    assert offered(LAZY) == {"pause", "reshard"}
    client.post(url("pause", LAZY))
    assert offered(LAZY) == {"resume", "skip", "reshard"}


def test_the_page_of_a_subscriber_shows_its_gaps_warnings_and_past(client, staff, parked):
    first = position_of(parked)
    for position in (1, 2):
        HandlerWarning.objects.create(subscriber=NAME, position=position, text="has no street")
    staff(superuser=True)
    client.post(url("pause"))
    shop.customer()
    page = client.get(PAGE)
    about = page.context["about"]
    assert [(each.first, each.last, each.count, each.why) for each in about.gaps.ranges] == [
        (first, first + 1, 2, "parked"),
        (first + 2, first + 2, 1, "pending"),
    ]
    assert [(each.text, each.events) for each in about.warnings.rows] == [("has no street", 2)]
    assert [each.operation for each in about.actions.rows] == ["pause"]
    assert about.status.state == "paused"


def test_long_lists_are_cut_off_and_say_so(client, staff):
    shop.customer()
    ParkedEvent.objects.bulk_create(
        ParkedEvent(subscriber=NAME, key=f"k{position}", position=position, error="KeyError") for position in range(30)
    )
    staff(superuser=True)
    page = client.get(PAGE)
    assert len(page.context["about"].keys.rows) == 20
    assert "The 20 keys that failed first in the log; there are more." in text(page)


def test_after_an_operation_one_comes_back_to_where_one_was_and_never_to_another_site(client, staff):
    shop.customer()
    staff(SEE, OPERATE)
    assert client.post(url("pause"), {"next": "/admin/"}).url == "/admin/"
    assert client.post(url("resume"), {"next": "https://elsewhere.example/"}).url == PAGE


def test_an_operation_that_nobody_declared_is_not_found(client, staff):
    shop.customer()
    staff(superuser=True)
    assert client.get(url("explode")).status_code == 404
    assert client.post(url("pause", "nobody")).status_code == 404
    assert client.get(reverse("admin:eventstore_subscriber", args=["nobody"])).status_code == 404


def test_records_are_filtered_by_operation_and_by_subscriber(client, staff):
    shop.customer()
    staff(superuser=True)
    for operation, subscriber in (("pause", NAME), ("resume", NAME), ("pause", LAZY)):
        client.post(url(operation, subscriber))
    records = "/admin/eventstore/operatoraction/"
    found = client.get(records, {"operation": "pause"}).context["cl"].result_list
    assert [each.target for each in found] == [LAZY, NAME]
    found = client.get(records, {"target": NAME}).context["cl"].result_list
    assert [each.operation for each in found] == ["resume", "pause"]


def test_each_record_leads_to_a_page_about_its_target_if_there_is_one(client, staff):
    """There is none of a subscriber or an operation that was taken out of the code."""
    shop.customer()
    staff(superuser=True)
    endpoint = WebhookEndpoint(url="https://hooks.example/a", owner="ops@example.org")
    endpoints.create(endpoint)
    told = {"kind": "seats", "about": "a conference", "text": "is oversold"}
    incident = Incident.objects.create(**told, began_at=timezone.now(), seen_at=timezone.now())
    pages = {
        ("pause", NAME): reverse("admin:eventstore_subscriber", args=[NAME]),
        ("rebuild", f"{LAZY}#2"): reverse("admin:eventstore_subscriber", args=[LAZY]),
        ("pause", "gone"): None,
        ("retire", "gone"): None,
        ("exploded", NAME): None,
        ("confirm", "log"): reverse("admin:eventstore_logidentity_changelist"),
        ("resolve-incident", str(incident.pk)): reverse("admin:eventstore_incident_change", args=[incident.pk]),
        ("add-webhook-endpoint", "endpoints"): reverse("admin:sagas_webhookendpoint_changelist"),
        ("resend-webhook", str(endpoint.pk)): reverse("admin:sagas_webhookendpoint_change", args=[endpoint.pk]),
        ("delete-webhook-endpoint", str(new_id())): None,
    }
    for (operation, target), page in pages.items():
        assert target_link(operation, target) == (target if page is None else f'<a href="{page}">{target}</a>')
        assert page is None or client.get(page).status_code == 200
