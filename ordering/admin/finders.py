"""What can be found of the business, and the pages by the names that the menu gives them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import localtime

from eventstore import store
from eventstore.admin.finders import FOUND, find_pages
from eventstore.admin.search import Asked, Found, finders
from eventstore.aggregates import Claim
from eventstore.errors import ConcurrencyConflict
from ordering.admin import order_search
from ordering.admin.formatting import in_zone, money
from ordering.domain.values import order_numbers_meant
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary

CONFERENCES = 500
"""Those that start last, among which a name is looked for."""


def find_orders(asked: Asked) -> Iterator[Found]:
    """By number, id, the id or the reference of a payment, and by the name or the address of the customer.

    One whose row isn't readable yet is found by its number all the same.
    """
    found = list(OrderSummary.objects.filter(_meant(asked))[:FOUND]) if asked.number is None else []
    for order in found:
        status, total = order.get_status_display().lower(), money(order.total, order.currency)
        detail = f"{status}, {total}, placed {localtime(order.placed_at):%-d %b %Y %H:%M}"
        yield Found(order.number, detail, _page("ordersummary", order.pk))
    if not found and (numbers := order_numbers_meant(asked.text)):
        for (_, number), stream in store.held(
            Claim("order-number", number, ConcurrencyConflict()) for number in numbers
        ).items():
            yield Found(number, "its row isn't readable yet", _page("ordersummary", stream))


def find_customers(asked: Asked) -> Iterator[Found]:
    """By name, email address or id."""
    if asked.number is not None:
        return
    if asked.id:
        found = CustomerProfile.objects.filter(pk=asked.id)
    elif "@" in asked.text:
        found = order_search.addressed(asked.text)
    else:
        found = order_search.named(asked.text).order_by()
    for customer in found[:FOUND]:
        yield Found(customer.name, customer.email, _page("customerprofile", customer.pk))


def find_conferences(asked: Asked) -> Iterator[Found]:
    """By id or words of the name."""
    if asked.id:
        found = list(ConferenceSummary.objects.filter(pk=asked.id))
    else:
        latest = ConferenceSummary.objects.order_by("-starts_at", "-conference_id")[:CONFERENCES]
        found = [each for each in latest if asked.names(each.name)] if asked.is_word and "@" not in asked.text else []
    for each in found:
        starts = in_zone(each.starts_at, each.time_zone)
        yield Found(
            each.name, f"{each.get_status_display().lower()}, starts {starts}", _page("conferencesummary", each.pk)
        )


def find_menu(asked: Asked) -> Iterator[Found]:
    """The entries of the theme's menu that this user sees, and the lists by their own names."""
    if not asked.is_word:
        return
    told: set[str] = set()
    menu: Callable[..., Iterable[dict[str, Any]]] = getattr(admin.site, "get_sidebar_list", lambda _: [])
    for group in menu(asked.request):
        for item in group["items"]:
            if item["has_permission"] and asked.names(str(item["title"])):
                told.add(link := str(item["link"]))
                yield Found(str(item["title"]), str(group.get("title") or ""), link)
    yield from (each for each in find_pages(asked) if each.url not in told)


def _meant(asked: Asked) -> Q:
    """An id is that of an order or a payment: what a customer or a conference has ordered is on their pages."""
    if asked.id is None:
        return order_search.meant(asked.text)
    return Q(pk=asked.id) | Q(payments__contains=[{"id": str(asked.id)}])


def _page(model: str, id_: UUID) -> str:
    return reverse(f"admin:ordering_{model}_change", args=[id_])


finders.register("Conferences", find_conferences, permission="ordering.view_conferencesummary", first=True)
finders.register("Customers", find_customers, permission="ordering.view_customerprofile", first=True)
finders.register("Orders", find_orders, permission="ordering.view_ordersummary", first=True)
finders.register("Pages", find_menu, first=True)
