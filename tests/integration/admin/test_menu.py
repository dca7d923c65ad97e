"""The menu is short, and everything that it left out is one click away from a page that is in it."""

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from config import menu
from eventstore.models import Incident

pytestmark = pytest.mark.usefixtures("clean")

BESIDE = {"ordering.birthyear", "projections.difference"}
"""Lists that a button of another page leads to."""


def asked(user, path="/admin/ordering/ordersummary/"):
    request = RequestFactory().get(path)
    request.user = user
    return request


def shown(user, path="/admin/ordering/ordersummary/"):
    return {item["title"]: item for group in menu.navigation(asked(user, path)) for item in group["items"]}


def test_it_has_few_entries_in_the_order_in_which_people_look(staff):
    groups = menu.navigation(asked(staff(superuser=True)))
    assert [group["title"] for group in groups] == ["", "Sales", "Operations", "History", "Settings"]
    assert sum(len(group["items"]) for group in groups) <= 15


def test_every_list_stands_in_it_or_among_the_tabs_of_one_that_does():
    there = {page.model for _, entries in menu.MENU for entry in entries for page in entry.pages}
    assert {model._meta.label_lower for model in admin.site._registry} - there == BESIDE


def test_an_entry_leads_to_the_first_of_its_pages_that_one_may_see(staff):
    entries = shown(staff("sagas.view_timer", "ordering.view_waitlistentry"))
    assert list(entries) == ["Overview", "Orders", "Processes"]
    assert entries["Processes"]["link"] == reverse("admin:sagas_timer_changelist")
    assert entries["Orders"]["link"] == reverse("admin:ordering_waitlistentry_changelist")


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/admin/", "Overview"),
        ("/admin/ordering/journalentry/trial-balance/", "Revenue"),
        ("/admin/eventstore/subscriberrow/of/sale/", "Read models"),
        ("/admin/problems/", "Problems"),
        ("/admin/eventstore/parkedevent/3/change/", "Problems"),
    ],
)
def test_one_entry_is_marked_wherever_one_is(staff, path, entry):
    entries = shown(staff(superuser=True), path)
    assert [title for title, item in entries.items() if item["active"]] == [entry]


def test_problems_are_counted_in_it_for_who_may_see_incidents(staff):
    now = timezone.now()
    times = {"began_at": now, "seen_at": now}
    Incident.objects.create(kind="parked", about="sale", text="failed on 1 event", raised_at=now, **times)
    Incident.objects.create(kind="parked", about="webhooks", text="may still pass", **times)
    user = staff("eventstore.view_incident")
    assert shown(user)["Problems"]["badge"] == "1"
    Incident.objects.update(ended_at=now)
    assert "badge" not in shown(user)["Problems"]


def test_the_tabs_of_a_list_are_those_that_one_may_see(client, staff):
    staff("sagas.view_instance", "sagas.view_timer")
    page = client.get(reverse("admin:sagas_timer_changelist")).content.decode()
    tabs = page[page.index('id="tabs-items"') :]
    tabs = tabs[: tabs.index("</nav>")]
    assert "Sagas" in tabs
    assert "Timers" in tabs
    assert "Commands" not in tabs
