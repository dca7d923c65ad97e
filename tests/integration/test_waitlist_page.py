"""The page of an entry of a waitlist, to which its mails lead."""

import re

import pytest
from django.test import Client

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from ordering import conf
from ordering.domain.conference_changes import CancelConference, CloseSales
from ordering.domain.order import CancelOrder, Order
from ordering.domain.values import payment_id_of
from ordering.domain.waitlist import Place, Waitlist, waitlist_id_of
from ordering.pages.links import payment_token, waitlist_token
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop


@pytest.fixture
def conference(clean):
    return shop.conference_on_sale(1)


@pytest.fixture
def sold(conference):
    """The order that has the only seat."""
    return shop.order(shop.customer(), conference)


@pytest.fixture
def entry(conference, sold):
    """Of a customer whose order was refused; it waits."""
    order = shop.order(shop.customer(), conference)
    bring_to_rest()
    return order


@pytest.fixture
def offered(sold, entry):
    """The seat is free again, and on offer to the entry."""
    dispatch(CancelOrder(order_id=sold))
    bring_to_rest()


@pytest.fixture
def path(conference, entry):
    return f"/waitlist/{waitlist_token(conference, entry)}"


@pytest.fixture
def press(client, path):
    """Presses a button, and looks at the page that comes then."""

    def press(do):
        answer = client.post(path, {"do": do}, follow=True)
        bring_to_rest()
        return answer

    return press


def entries(conference):
    return repository.get(Waitlist, waitlist_id_of(conference)).entries


def said(answer):
    """What a page says, in one line and without its markup."""
    return " ".join(re.sub("<[^>]*>", " ", answer.content.decode()).split())


def test_who_waits_sees_what_for_and_leaves(client, conference, entry, path, press):
    page = client.get(path)
    assert page.status_code == 200
    assert "You wait for 1 &times; Standard" in said(page)
    assert "Order the seats" not in said(page)
    assert "You don't wait for seats of PyCon any more." in said(press("leave"))
    assert entries(conference) == {}


@pytest.mark.usefixtures("offered")
def test_what_is_offered_is_ordered_and_paid_from_there(client, conference, entry, path, press):
    order_id = entries(conference)[entry].order_id
    page = client.get(path)
    assert "Seats for you 1 &times; Standard" in said(page)
    assert "99.50 EUR" in said(page)
    press("accept")
    order = repository.get(Order, order_id)
    page = client.get(path)
    assert page.status_code == 200
    assert f"Order {order.number}" in said(page)
    assert f"/pay/{payment_token(payment_id_of(order_id))}" in page.content.decode()
    shop.pay(order_id)
    bring_to_rest()
    assert "Your order for PyCon is confirmed." in said(client.get(path))


@pytest.mark.usefixtures("offered")
def test_an_order_that_is_not_there_yet_is_on_its_way(client, path):
    answer = client.post(path, {"do": "accept"}, follow=True)
    assert (answer.status_code, answer.headers["Refresh"]) == (202, "2")
    assert "Your order is on its way" in said(answer)


@pytest.mark.usefixtures("offered")
def test_what_is_offered_is_declined(conference, press):
    assert "You didn't want the seats of PyCon." in said(press("decline"))
    assert entries(conference) == {}


@pytest.mark.usefixtures("offered")
def test_who_sends_an_answer_twice_has_given_it_once(client, conference, entry, path, press):
    order_id = entries(conference)[entry].order_id
    press("accept")
    assert f"Order {repository.get(Order, order_id).number}" in said(press("accept"))
    assert f"Order {repository.get(Order, order_id).number}" in said(press("decline"))
    assert StoredEvent.objects.filter(type="waitlist.accepted").count() == 1


@pytest.mark.usefixtures("offered")
def test_an_offer_that_has_lapsed_is_said_to_have(client, path, press):
    let_pass(conf.offered_for())
    bring_to_rest()
    assert "were not ordered in time" in said(client.get(path))
    assert "were not ordered in time" in said(press("accept"))


@pytest.mark.usefixtures("offered")
def test_what_can_not_be_ordered_now_is_refused_and_says_why(client, conference, entry, path, press):
    dispatch(CloseSales(conference_id=conference, reason="The hall is in doubt."))
    refused = press("accept")
    assert (refused.status_code, "conference-not-on-sale" in said(refused)) == (409, True)
    assert entries(conference)[entry].place is Place.OFFERED


def test_who_waits_has_no_offer_to_accept(conference, entry, press):
    refused = press("accept")
    assert (refused.status_code, "offer-over" in said(refused)) == (409, True)
    assert press("sing").status_code == 409
    assert entries(conference)[entry].place is Place.WAITING


def test_nobody_waits_for_a_cancelled_conference(client, conference, path):
    dispatch(CancelConference(conference_id=conference, reason="The hall has burnt down."))
    bring_to_rest()
    assert "PyCon is cancelled." in said(client.get(path))


@pytest.mark.usefixtures("offered")
def test_whoever_only_looks_does_nothing(client, conference, path):
    before = store.version_of(waitlist_id_of(conference))
    for _ in range(2):
        assert client.get(path).status_code == 200
        assert client.get(f"{path}?do=accept").status_code == 200
        assert client.head(path).status_code == 200
    for method in ("put", "patch", "delete"):
        assert getattr(client, method)(path, {"do": "accept"}).status_code == 405
    assert Client(enforce_csrf_checks=True).post(path, {"do": "accept"}).status_code == 403
    bring_to_rest()
    assert store.version_of(waitlist_id_of(conference)) == before


@pytest.mark.usefixtures("offered")
def test_who_answers_is_named_in_the_log(press):
    press("decline")
    declined = StoredEvent.objects.get(type="waitlist.declined")
    assert declined.actor == f"customer:{declined.data['customer_id']}"


def test_only_links_that_we_signed_lead_anywhere(client, conference, entry, path):
    nothing = (
        "/waitlist/nothing",
        "/waitlist/%00",
        f"{path}x",
        f"/waitlist/{payment_token(entry)}",
        f"/waitlist/{waitlist_token(new_id(), entry)}",
        f"/waitlist/{waitlist_token(conference, new_id())}",
        f"/waitlist/{waitlist_token(shop.conference_on_sale(), entry)}",
    )
    for each in nothing:
        assert client.get(each).status_code == 404, each
        assert client.post(each, {"do": "leave"}).status_code in (302, 404), each
    assert entry in entries(conference)


def test_the_address_is_kept_a_secret_and_nothing_is_kept_of_the_page(client, path):
    page = client.get(path)
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "strict-origin")
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
