"""Every list is shown, whatever its address asks for: what means nothing is left out."""

from contextlib import suppress

import pytest
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import SuspiciousOperation
from django.db import models
from django.urls import reverse

from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from tests.integration import shop

admin.autodiscover()

HUGE = "99999999999999999999"
WRONG = {
    models.TextField: ["=%00", "__exact=%00", "__in=a,%00", "__gte=%00", "__contains=%00", "__regex=(", "__year=1"],
    models.CharField: ["=%00", "__exact=%00", "__regex=("],
    models.IntegerField: ["=x", f"={HUGE}", f"__in=1,{HUGE}", f"__lt={HUGE}", "__regex=("],
    models.DateTimeField: [
        *("=x", "__gte=%00", "__date=0", "__lt=9999-12-31T23:59:59-23:00", "__gte=0001-01-01T00:00:00%2B23:00"),
        *("__year=0", "__year=10000", f"__year={HUGE}", "__year__gte=0", "__iso_year=0", f"__month={HUGE}"),
    ],
    models.DateField: ["=x", "__year=0"],
    models.UUIDField: ["=x", "=%00", "__in=x"],
    models.JSONField: ["=%00", "__has_key=%00", "__contains=x"],
    models.BooleanField: ["=x", "__exact=%00", "__isnull=x"],
    models.DecimalField: ["=x", "=nan", "=1e999999"],
    models.ForeignKey: ["=x", "__id__exact=%00"],
}
ANYWHERE = [
    *("q=sale", "q=%00", "q=%27", f"q={HUGE}", f"q={'x' * 3000}", "q=%E0%A4%A", "q=a@%27"),
    *("o=1.-2", "o=99", "o=x", "o=-", f"o={HUGE}", "p=x", "p=0", f"p={HUGE}"),
    *("nothing=1", "pk=x", "pk=%00", "all=", "_to_field=x", "_facets=1"),
]


def lists():
    return [
        (reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"), shown)
        for model, shown in admin.site._registry.items()
    ]


@pytest.fixture
def sold(clean):
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
    perform(Pause(target="order-summaries"), by="ada")


@pytest.fixture
def shown(sold, staff, rf):
    """Reads the list of an admin class at an address, or is told that it is a wrong one."""
    user = staff(superuser=True)

    def shown(each, address):
        request = rf.get(address)
        request.user, request._messages = user, CookieStorage(request)
        with suppress(IncorrectLookupParameters, SuspiciousOperation):
            list(each.get_changelist_instance(request).result_list)

    return shown


def test_every_list_is_shown_whatever_its_address_asks_for(shown):
    for url, each in lists():
        for asked in ANYWHERE:
            shown(each, f"{url}?{asked}")


@pytest.mark.parametrize("kind", WRONG)
def test_every_list_is_shown_whatever_is_looked_up_in_a_field(shown, kind):
    for url, each in lists():
        if field := next((field for field in each.opts.concrete_fields if isinstance(field, kind)), None):
            for asked in WRONG[kind]:
                shown(each, f"{url}?{field.name}{asked}")


def test_every_list_is_shown_whatever_its_filters_are_set_to(shown):
    for url, each in lists():
        for kind in each.list_filter:
            if isinstance(kind, type) and issubclass(kind, admin.SimpleListFilter):
                for asked in ("", "x", "%00", HUGE):
                    shown(each, f"{url}?{kind.parameter_name}={asked}")


@pytest.mark.parametrize("asked", ["q=sale", "q=%00", "id__in=%00"])
def test_every_page_of_a_list_is_shown_whatever_its_address_asks_for(client, staff, sold, asked):
    staff(superuser=True)
    for url, _ in lists():
        assert client.get(f"{url}?{asked}").status_code in {200, 302}, url


@pytest.mark.parametrize(
    "wrong", ["status__exact=%00", "status__regex=(", "recorded_at__year=0", "recorded_at__year=x"]
)
def test_a_wrong_lookup_leads_to_the_list_without_it(client, staff, sold, wrong):
    staff(superuser=True)
    url = "/admin/eventstore/storedevent/" if "recorded" in wrong else "/admin/ordering/ordersummary/"
    answer = client.get(f"{url}?{wrong}")
    assert (answer.status_code, answer.url) == (302, f"{url}?{ERROR_FLAG}=1")
    assert client.get(answer.url).context["cl"].result_list


@pytest.mark.parametrize("asked", ["", "sale", "1"])
def test_a_list_without_a_search_box_shows_all_of_it_whatever_is_searched_for(client, staff, sold, asked):
    staff(superuser=True)
    (action,) = client.get("/admin/eventstore/operatoraction/", {"q": asked}).context["cl"].result_list
    assert action.by == "ada"


@pytest.mark.parametrize(
    ("asked", "found"), [({"placed_at__year": 1999}, 0), ({"placed_at__year__gt": 1999}, 1), ({"o": "1"}, 1)]
)
def test_what_means_something_selects_as_ever(client, staff, sold, asked, found):
    staff(superuser=True)
    assert len(client.get("/admin/ordering/ordersummary/", asked).context["cl"].result_list) == found
