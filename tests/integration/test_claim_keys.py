"""A site gets another CLAIM_KEY: nothing that is held becomes free, and at last the old key is not needed."""

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from eventstore import aggregates, claims, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import Claim
from ordering.domain.customer import ChangeCustomer, CustomerRegistered, RegisterCustomer
from ordering.domain.errors import EmailTaken, PaymentReferenceTaken
from ordering.domain.payment import AcceptPayment
from ordering.domain.values import payment_id_of
from tests.integration import shop
from tests.integration.api.caller import Caller, nothing_written
from tests.integration.processes import BASE_DIR

pytestmark = pytest.mark.usefixtures("clean")

OLD, NEW = "the old key of the claims of this site", "the new key of the claims of this site"
ADA = "ada@b\u00fccher.example"


@pytest.fixture
def keys(settings):
    def use(key, *fallbacks):
        settings.EVENTSTORE_CLAIM_KEY, settings.EVENTSTORE_CLAIM_KEY_FALLBACKS = key, list(fallbacks)

    use(OLD)
    return use


def register(email=ADA):
    customer = new_id()
    dispatch(RegisterCustomer(customer_id=customer, name="Ada", email=email))
    return customer


def rehashed(*arguments):
    """What it says in JSON, and with which code it ended."""
    told = StringIO()
    try:
        call_command("claims", "rehash", "--json", *arguments, stdout=told)
    except CommandError as error:
        return json.loads(told.getvalue()), error.returncode
    return json.loads(told.getvalue()), 0


def summary(streams, renewed, **more):
    return {"streams": streams, "renewed": renewed, "taken": [], "unknown": [], **more}


def test_what_is_held_under_the_old_key_is_held_under_a_new_one(keys):
    register()
    keys(NEW, OLD)
    with pytest.raises(EmailTaken):
        register()


def test_what_is_held_under_the_new_key_is_held_for_who_knows_the_old_one_alone(keys):
    keys(NEW, OLD)
    register()
    keys(OLD)
    with pytest.raises(EmailTaken):
        register()


def test_what_is_given_back_is_free_under_both(keys):
    customer = register()
    keys(NEW, OLD)
    dispatch(ChangeCustomer(customer_id=customer, email="ada@example.org"))
    register()
    keys(OLD)
    with pytest.raises(EmailTaken):
        register("ada@example.org")


def test_after_the_claims_are_hashed_anew_the_old_key_is_not_needed(keys):
    conference = shop.conference_on_sale()
    order = shop.order(register(), conference)
    shop.pay(order, reference="RF12/34")
    keys(NEW, OLD)
    assert rehashed("--dry-run") == (summary(3, 3), 2)
    assert rehashed() == (summary(3, 3), 0)
    assert rehashed("--dry-run") == (summary(3, 0), 0)
    keys(NEW)
    with pytest.raises(EmailTaken):
        register()
    other = shop.order(shop.customer(), conference)
    with pytest.raises(PaymentReferenceTaken):
        dispatch(AcceptPayment(payment_id=payment_id_of(other), amount=shop.PRICE, reference="RF12/34"))
    rehashed()
    under_both = Claim.objects.count()
    keys(OLD)
    register()
    assert Claim.objects.count() == under_both + 2


def test_what_is_held_is_what_the_aggregates_say(keys):
    shop.pay(shop.order(register(), shop.conference_on_sale()))
    assert rehashed("--dry-run") == (summary(3, 0), 0)


def test_it_can_be_ended_at_any_moment_and_begun_again(keys, monkeypatch):
    monkeypatch.setattr(claims, "BATCH", 2)
    for number in range(5):
        register(f"{number}@example.org")
    keys(NEW, OLD)
    next(claims.rehash())
    assert rehashed("--dry-run")[0] == summary(5, 3)
    assert rehashed() == (summary(5, 3), 0)


def claimed_as_written(email):
    """A customer from before domains were compared."""
    old = CustomerRegistered(customer_id=new_id(), name="Ada", email=email)
    written = aggregates.Claim("email", email.casefold(), EmailTaken())
    store.append(
        store.Changes(stream_id=old.customer_id, category="customer", expected=0, events=[old], claimed=[written])
    )
    return old.customer_id


@pytest.mark.parametrize("email", ["ada@stra\u00dfe.example", "ada@bu\u0308cher.example"])
def test_an_address_from_before_domains_were_compared_is_one_mailbox_afterwards(keys, email):
    claimed_as_written(email)
    assert rehashed() == (summary(1, 1), 0)
    with pytest.raises(EmailTaken):
        register(email)
    register("ada@strasse.example")


def test_of_two_who_have_one_mailbox_from_before_the_second_keeps_what_it_has_and_is_named(keys):
    both = {claimed_as_written("ada@bu\u0308cher.example"), claimed_as_written("ada@xn--bcher-kva.example")}
    told, code = rehashed()
    assert (told["streams"], told["renewed"], code) == (2, 1, 1)
    assert {str(each) for each in both} > set(told["taken"])
    with pytest.raises(EmailTaken):
        register("ada@b\u00fccher.example")


def test_processes_with_the_old_and_with_the_new_key_never_give_one_address_to_two():
    emails = [f"{number}@example.org" for number in range(40)]
    sides = [{"CLAIM_KEY": OLD}, {"CLAIM_KEY": NEW, "CLAIM_KEY_FALLBACKS": OLD}]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.integration.registrar", *emails],
            cwd=BASE_DIR,
            env=os.environ | keys,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for keys in sides
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    got = [line for process in running for line in process.communicate(timeout=120)[0].splitlines()]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(got) == sorted(f"got {email}" for email in emails)


def test_a_call_that_is_made_again_under_another_key_is_the_same_call(keys):
    ada = {"id": str(new_id()), "name": "Ada", "email": ADA}
    first = Caller().post("/customers", ada)
    keys(NEW, OLD)
    with nothing_written():
        again = Caller().post("/customers", ada)
    assert (again.status_code, again.headers["Event-Position"]) == (201, first.headers["Event-Position"])
