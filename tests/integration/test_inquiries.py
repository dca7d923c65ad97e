"""Reports that are late: the provider is asked, and what it tells is recorded once."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.conference_changes import ChangeProviders
from ordering.models import Inquiry, OrderSummary
from ordering.providers.inquiries import ask_overdue
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import said, text
from tests.integration.api import caller as callers
from tests.integration.test_reported_refunds import tell

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def order(stripe):
    """Paid, and no report has come."""
    conference, (ada, caller) = shop.conference_on_sale(), callers.customer()
    dispatch(ChangeProviders(conference_id=conference, providers=("stripe",)))
    order = shop.order(ada, conference, 2)
    caller.post(f"/orders/{order}/payments")
    return order


def about_to_expire(order):
    OrderSummary.objects.filter(pk=order).update(expires_at=timezone.now() + timedelta(minutes=2))


def a_while_later():
    Inquiry.objects.update(asked_at=timezone.now() - timedelta(minutes=1))


def status(order):
    return OrderSummary.objects.get(pk=order).status


def test_an_order_that_is_paid_does_not_expire_because_a_report_was_lost(stripe, order):
    assert ask_overdue() == 0
    about_to_expire(order)
    assert ask_overdue() == 1
    assert status(order) == "awaiting_payment"
    stripe.pay(stripe.sessions["cs_1"])
    assert ask_overdue() == 0
    a_while_later()
    assert ask_overdue() == 1
    bring_to_rest()
    assert status(order) == "confirmed"
    assert set(tell(*stripe.events)) == {200}
    assert StoredEvent.objects.filter(type="payment.accepted").count() == 1
    assert ask_overdue() == 0


def test_a_payment_that_is_pending_is_asked_about_from_time_to_time(stripe, order):
    session = stripe.sessions["cs_1"]
    stripe.pay(session, later=True)
    tell(*stripe.events)
    bring_to_rest()
    OrderSummary.objects.update(expires_at=timezone.now() + timedelta(days=2))
    stripe.debit_succeeds(session)
    assert ask_overdue() == 1
    bring_to_rest()
    assert status(order) == "confirmed"


def test_while_a_provider_is_away_others_are_not_asked_about_either(stripe, order):
    caller = callers.storefront()
    conference = str(OrderSummary.objects.get().conference_id)
    other = shop.order(shop.customer(), UUID(conference))
    assert caller.get(f"/orders/{other}").status_code == 200
    about_to_expire(order)
    about_to_expire(other)
    stripe.failing = [500] * 9
    assert ask_overdue() == 1
    stripe.failing = []
    a_while_later()
    assert ask_overdue() == 2


def test_where_nobody_can_be_asked_nobody_is(settings):
    order = shop.order(shop.customer(), shop.conference_on_sale())
    about_to_expire(order)
    assert ask_overdue() == 0
    assert not Inquiry.objects.exists()


def test_staff_ask_the_provider_on_the_page_of_the_order(client, stripe, order):
    client.force_login(User.objects.create_superuser("ada"))
    page = reverse("admin:ordering_ordersummary_change", args=[order])
    url = reverse("admin:ordering_ordersummary_act", args=[order, "ask-provider"])
    assert url in text(client.get(page))

    def ask():
        form = client.get(url).context["form"]
        return client.post(url, {name: form[name].value() for name in form.fields}, follow=True)

    assert said(ask()) == ["The provider knows nothing new."]
    stripe.pay(stripe.sessions["cs_1"])
    assert said(ask()) == ["The provider was asked, and what it says is recorded."]
    bring_to_rest()
    assert status(order) == "confirmed"
    stripe.failing = [500]
    assert "provider-unavailable" in text(ask())
