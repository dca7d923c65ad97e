"""The button "Send a status mail" on an order's page."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from eventstore.context import new_id
from eventstore.models import StoredEvent
from sagas.models import Delivery
from tests.integration import shop
from tests.integration.admin.reading import said

pytestmark = pytest.mark.usefixtures("clean")

MAY_SEE, MAY_SEND = "ordering.view_ordersummary", "ordering.request_status_mail"


@pytest.fixture
def order():
    return shop.order(shop.customer(), shop.conference_on_sale())


@pytest.fixture
def button(order):
    return reverse("admin:ordering_ordersummary_act", args=[order, "status-mail"])


def page_of(order):
    return reverse("admin:ordering_ordersummary_change", args=[order])


def asked():
    return StoredEvent.objects.filter(type="order.status-mail-requested")


def confirmation(client, button):
    """What is sent by whoever means it."""
    form = client.get(button).context["form"]
    return {name: form[name].value() for name in form.fields}


@pytest.mark.parametrize(("permissions", "there"), [([MAY_SEE], False), ([MAY_SEE, MAY_SEND], True)])
def test_the_button_is_there_for_whoever_may_press_it(client, staff, order, button, permissions, there):
    staff(*permissions)
    assert (button in client.get(page_of(order)).content.decode()) is there


def test_without_the_permission_no_mail_is_asked_for(client, staff, button):
    staff(MAY_SEE, "ordering.change_ordersummary")
    assert client.get(button).status_code == 403
    assert client.post(button, {"form_id": new_id()}).status_code == 403
    assert not asked().exists()


def test_it_is_confirmed_before_anything_is_sent(client, staff, button):
    staff(MAY_SEE, MAY_SEND)
    page = client.get(button)
    assert "The customer gets a mail that says how this order stands" in page.content.decode()
    assert client.post(button).status_code == 200
    assert client.post(button, {"form_id": "x"}).status_code == 200
    assert not asked().exists()


def test_a_confirmation_that_is_sent_twice_asks_for_one_mail_in_the_name_of_who_sent_it(client, staff, order, button):
    user = staff(MAY_SEE, MAY_SEND)
    form = confirmation(client, button)
    sent = client.post(button, form)
    repeated = client.post(button, form, follow=True)
    assert sent.url == page_of(order)
    first, second = said(repeated)
    assert "is on its way to the customer" in first
    assert second == "This was done already."
    event = asked().get()
    assert (event.stream_id, event.actor) == (order, f"staff:{user.pk}")
    assert str(event.correlation_id) == sent.headers["X-Correlation-Id"]
    assert Delivery.objects.filter(effect="mail.order-status").count() == 1
    assert LogEntry.objects.get().get_change_message() == "Sent order.request-status-mail."


def test_each_confirmation_asks_for_a_mail_of_its_own(client, staff, button, settings):
    settings.STATUS_MAIL_MINUTES = 0
    staff(MAY_SEE, MAY_SEND)
    for _ in range(2):
        client.post(button, confirmation(client, button))
    assert asked().count() == 2


def test_too_soon_after_another_no_mail_is_asked_for(client, staff, button):
    staff(MAY_SEE, MAY_SEND)
    client.post(button, confirmation(client, button))
    page = client.post(button, confirmation(client, button), follow=True).content.decode()
    assert "was asked for a moment ago" in page
    assert asked().count() == 1


def test_there_is_no_mail_about_what_is_no_order(client, staff):
    staff(MAY_SEE, MAY_SEND)
    nothing = reverse("admin:ordering_ordersummary_act", args=[new_id(), "status-mail"])
    assert client.get(nothing).status_code == 404
    assert client.post(nothing, {"form_id": new_id()}).status_code == 404
