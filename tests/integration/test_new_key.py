"""A site gets another SECRET_KEY, and keeps the key of its claims."""

from uuid import UUID

import pytest
from django.test import Client

from eventstore import context
from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.customer import ChangeCustomer
from ordering.pages import links
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")

ADA = {"name": "Ada", "email": "ada@example.org"}


@pytest.fixture
def new_key(settings):
    def give():
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key that is long enough to be one"

    return give


def test_an_address_that_is_taken_stays_taken(new_key):
    assert Caller().post("/customers", ADA).status_code == 201
    new_key()
    with nothing_written():
        assert_problem(Caller().post("/customers", {**ADA, "name": "Eve"}), 409, "email-taken")


def test_a_call_that_is_made_again_is_the_same_call(new_key):
    ada = {**ADA, "id": str(context.new_id())}
    first = Caller().post("/customers", ada)
    dispatch(ChangeCustomer(customer_id=UUID(ada["id"]), name="Countess of Lovelace"))
    new_key()
    with nothing_written():
        again = Caller().post("/customers", ada)
    assert (again.status_code, again.headers["Event-Position"]) == (201, first.headers["Event-Position"])


def test_the_links_of_mails_go_on_opening_as_long_as_the_old_key_is_named(new_key, settings):
    customer, payment = shop.customer(), context.new_id()
    sent = shop.profile_path(customer), links.payment_token(payment), links.waitlist_token(customer, payment)
    new_key()
    assert Client().get(sent[0]).status_code == 200
    assert links.payment_of(sent[1]) == payment
    assert links.waitlist_entry_of(sent[2]) == (customer, payment)
    settings.SECRET_KEY_FALLBACKS = []
    assert Client().get(sent[0]).status_code == 404


def test_who_has_a_token_goes_on_with_it(new_key):
    customer, caller = callers.customer()
    conference = shop.conference_on_sale()
    new_key()
    assert caller.post("/orders", placing(customer, conference)).status_code == 201
    assert StoredEvent.objects.filter(type="order.placed").count() == 1
