"""The page that the welcome mail leads to: what it shows, and what it says while it can't."""

from base64 import urlsafe_b64encode
from datetime import date

import pytest
from django.core.signing import TimestampSigner

from eventstore import repository
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import ParkedEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Discard, Pause, Resume
from eventstore.subscriptions.registry import registry
from ordering.domain.customer import ChangeCustomer, Customer
from ordering.domain.values import Address
from ordering.models import CustomerProfile, OrderSummary
from ordering.pages.links import SALT, SEPARATOR, profile_token
from ordering.pages.profile import SHOWN
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

PROFILES = "customer-profiles"
ON_ITS_WAY, CHANGES = "Your profile is on its way", "Your latest changes are on their way"


@pytest.fixture
def look(client):
    """Opens the page of a customer."""
    return lambda customer: client.get(shop.profile_path(customer))


def pause():
    registry.make_rows()
    perform(Pause(target=PROFILES), by="test")


def resume():
    """Fed again, by whatever command comes next."""
    perform(Resume(target=PROFILES), by="test")
    shop.customer()


def rename(customer, name):
    dispatch(ChangeCustomer(customer_id=customer, name=name))


def text_of(answer):
    return answer.content.decode()


def asks_again(answer):
    """Whether a page does, by its header and by itself."""
    by_header, by_itself = answer.headers.get("Refresh") == "2", '<meta http-equiv="refresh" content="2">'
    assert by_header == (by_itself in text_of(answer)) == (answer.headers.get("Retry-After") == "2")
    return by_header


def test_a_profile_shows_all_that_is_known_of_a_customer(look):
    ada = shop.customer("Ada <Lovelace>")
    address = Address(street="12 St James Square", postal_code="SW1Y 4JH", city="London", country="GB")
    dispatch(ChangeCustomer(customer_id=ada, birth_date=date(1815, 12, 10), address=address))
    answer = look(ada)
    assert answer.status_code == 200
    assert not asks_again(answer)
    shown = (
        "Ada &lt;Lovelace&gt;",
        f"{ada.hex}@example.org",
        "10 December 1815",
        "12 St James Square",
        "SW1Y 4JH London",
    )
    assert [each for each in shown if each not in text_of(answer)] == []
    assert "You have not ordered anything yet." in text_of(answer)


def test_a_profile_shows_the_orders_of_its_customer_and_of_nobody_else(look):
    conference, ada, bob = shop.conference_on_sale(), shop.customer(), shop.customer("Bob")
    paid, placed, other = shop.order(ada, conference, 2), shop.order(ada, conference), shop.order(bob, conference)
    shop.pay(paid, 2)
    number = {order.pk: order.number for order in OrderSummary.objects.all()}
    shown = text_of(look(ada))
    assert all(each in shown for each in (number[paid], "199.00 EUR", "confirmed", number[placed], "awaiting payment"))
    assert number[other] not in shown


def test_of_many_orders_the_latest_are_shown_and_said_to_be_the_latest(look):
    conference, ada = shop.conference_on_sale(), shop.customer()
    orders = [shop.order(ada, conference) for _ in range(SHOWN + 1)]
    number = {order.pk: order.number for order in OrderSummary.objects.all()}
    shown = text_of(look(ada))
    assert number[orders[0]] not in shown
    assert all(number[order] in shown for order in orders[1:])
    assert "These are the latest 25." in shown


@pytest.mark.parametrize("token", ["nothing", "a.b.c", "%00", "%FF", "x" * 5000])
def test_a_token_that_is_not_ours_leads_to_a_page_that_says_so(client, token):
    answer = client.get(f"/profile/{token}")
    assert answer.status_code == 404
    assert "There is nothing here" in text_of(answer)


def test_a_token_of_what_the_log_does_not_know_leads_nowhere_whatever_the_read_model_says(client, look):
    ada, nobody = shop.customer(), new_id()
    CustomerProfile.objects.filter(pk=ada).update(customer_id=nobody)
    for unknown in (nobody, shop.conference_on_sale()):
        assert client.get(f"/profile/{profile_token(unknown, 'ada@example.org')}").status_code == 404
    assert look(ada).status_code == 202


def test_a_link_that_has_expired_leads_nowhere(look, settings):
    ada = shop.customer()
    assert look(ada).status_code == 200
    settings.PROFILE_LINK_DAYS = -1
    assert look(ada).status_code == 404


def test_a_link_belongs_to_the_address_that_it_was_sent_to(client, look):
    ada = shop.customer()
    email = repository.get(Customer, ada).email
    sent, before = shop.profile_path(ada), f"/profile/{as_before(ada)}"

    def opened():
        return client.get(sent).status_code, client.get(before).status_code

    dispatch(ChangeCustomer(customer_id=ada, email=email.upper()))
    assert opened() == (200, 200)
    dispatch(ChangeCustomer(customer_id=ada, email="countess@example.org"))
    assert opened() == (404, 404)
    assert look(ada).status_code == 200
    dispatch(ChangeCustomer(customer_id=ada, email=email))
    assert opened() == (200, 200)


def as_before(customer_id):
    """A token as it was before it said to which mailbox it was sent."""
    value = urlsafe_b64encode(customer_id.bytes).decode().rstrip("=")
    return TimestampSigner(salt=SALT, sep=SEPARATOR).sign(value)


def test_a_customer_whose_profile_cannot_be_read_yet_is_told_that_it_is_on_its_way(look):
    pause()
    ada = shop.customer()
    answer = look(ada)
    assert answer.status_code == 202
    assert asks_again(answer)
    assert ON_ITS_WAY in text_of(answer)
    resume()
    answer = look(ada)
    assert answer.status_code == 200
    assert "Ada Lovelace" in text_of(answer)


def test_a_change_that_was_not_fed_yet_is_announced_below_what_is_there(look):
    ada = shop.customer()
    pause()
    rename(ada, "Ada King")
    answer = look(ada)
    assert answer.status_code == 202
    assert asks_again(answer)
    assert "Ada Lovelace" in text_of(answer)
    assert CHANGES in text_of(answer)
    resume()
    assert "Ada King" in text_of(look(ada))
    assert look(ada).status_code == 200


def test_a_customer_whose_first_event_is_parked_waits_and_others_do_not(look, poison):
    bob, ada = shop.customer("poison"), shop.customer()
    assert (look(bob).status_code, look(ada).status_code) == (202, 200)
    assert ON_ITS_WAY in text_of(look(bob))


def test_while_a_change_is_parked_what_is_there_is_shown_until_the_change_is_applied_or_discarded(look, poison):
    changed, discarded = shop.customer(), shop.customer()
    for each in (changed, discarded):
        rename(each, "poison")
        answer = look(each)
        assert (answer.status_code, asks_again(answer)) == (202, True)
        assert "Ada Lovelace" in text_of(answer)
        assert CHANGES in text_of(answer)
    position = ParkedEvent.objects.get(key=str(discarded)).position
    perform(Discard(target=PROFILES, key=str(discarded), positions=(position,)), by="test", reason="a test customer")
    answer = look(discarded)
    assert (answer.status_code, asks_again(answer)) == (200, False)
    assert "Ada Lovelace" in text_of(answer)
    assert look(changed).status_code == 202


def test_the_address_is_kept_a_secret_and_nothing_is_kept_of_the_page(client, look):
    shown = look(shop.customer())
    pause()
    on_its_way = look(shop.customer())
    for answer in (on_its_way, shown, client.get("/profile/nothing")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not answer.cookies


def test_a_page_is_only_read(client):
    path = shop.profile_path(shop.customer())
    assert client.head(path).status_code == 200
    for method in ("post", "put", "delete"):
        assert getattr(client, method)(path).status_code == 405
