"""What orders somebody means who types a number, a name, an address, a reference or an id. All of it is looked up by
indexes.
"""

import re
from functools import reduce
from operator import or_

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Q, QuerySet

from ordering.admin.acts import as_id
from ordering.domain.mailbox import spellings
from ordering.domain.values import order_numbers_meant
from ordering.models import CustomerProfile, OrderSummary

MOST = 50
"""Customers of one name, and orders of one reference, that a search looks at."""


def meant(text: str) -> Q:
    """The orders that it may mean. What looks like a number may be a name as well."""
    text = text.replace("\0", "").strip()
    if "@" in text:
        return Q(customer_id__in=customers(text))
    if (id_ := as_id(text)).int:
        return Q(pk=id_) | Q(customer_id=id_) | Q(conference_id=id_)
    return (
        Q(number__in=order_numbers_meant(text))
        | Q(customer_id__in=customers(text))
        | Q(pk__in=_some(OrderSummary.objects.filter(payments__contains=[{"reference": text}])))
    )


def customers(text: str) -> list[object]:
    """The ids of those whose email address it is, or in whose names there are such words."""
    return _some(addressed(text) if "@" in text else named(text))


def addressed(text: str) -> QuerySet[CustomerProfile]:
    """The customers with this email address, in whatever case it is written, its domain in Unicode or as A-labels."""
    return CustomerProfile.objects.filter(mailbox(text))


def mailbox(text: str) -> Q:
    """The rows of customers with this email address, however it is written."""
    written = dict.fromkeys((text, *spellings(text)))
    return reduce(or_, (Q(email__iexact=each) for each in written))


def named(text: str) -> QuerySet[CustomerProfile]:
    """The customers in whose names there are words that begin so, in whatever order."""
    words = re.findall(r"\w+", text)
    if not words:
        return CustomerProfile.objects.none()
    asked = SearchQuery(" & ".join(f"{word}:*" for word in words), config="simple", search_type="raw")
    return CustomerProfile.objects.annotate(words=SearchVector("name", config="simple")).filter(words=asked)


def _some(found: QuerySet[CustomerProfile] | QuerySet[OrderSummary]) -> list[object]:
    """Without an order, by which the planner would rather walk through all of them."""
    return list(found.order_by().values_list("pk", flat=True)[:MOST])
