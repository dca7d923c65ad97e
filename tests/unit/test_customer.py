from datetime import date

import msgspec
import pytest

from eventstore.errors import StreamExists, StreamNotFound
from eventstore.testing import given, when
from ordering.domain.customer import (
    ChangeCustomer,
    ConfirmEmail,
    Customer,
    CustomerAddressChanged,
    CustomerBirthDateSet,
    CustomerEmailChanged,
    CustomerEmailConfirmed,
    CustomerEmailLinkRequested,
    CustomerPasswordChanged,
    CustomerRegistered,
    CustomerRenamed,
    RecordPasswordChange,
    RegisterCustomer,
    RequestEmailLink,
)
from ordering.domain.errors import EmailOutdated, EmailTaken, InvalidEmail, UnreadableText
from ordering.domain.values import Address

from .samples import ADA, REGISTERED

BORN = date(1815, 12, 10)
LONDON = Address("12 St James's Square", "SW1Y 4JH", "London", "GB")
BIRTH_DATE_SET = CustomerBirthDateSet(customer_id=ADA, birth_date=BORN)
CONFIRMED = CustomerEmailConfirmed(customer_id=ADA, email="ada@example.com")
LIVES_IN_LONDON = CustomerAddressChanged(customer_id=ADA, address=LONDON)


def test_a_customer_registers() -> None:
    recorded = when(Customer(ADA), RegisterCustomer(customer_id=ADA, name="Ada", email="ada@example.com"))

    assert recorded == [CustomerRegistered(customer_id=ADA, name="Ada", email="ada@example.com")]


def test_each_further_fact_given_at_registration_is_an_event_of_its_own() -> None:
    recorded = when(
        Customer(ADA),
        RegisterCustomer(customer_id=ADA, name="Ada", email="ada@example.com", birth_date=BORN, address=LONDON),
    )

    assert recorded == [REGISTERED, BIRTH_DATE_SET, LIVES_IN_LONDON]


def test_an_address_is_claimed_however_it_is_spelt() -> None:
    customer = Customer(ADA)

    recorded = when(customer, RegisterCustomer(customer_id=ADA, name="Ada", email=" Ada@Example.COM "))

    assert recorded == [CustomerRegistered(customer_id=ADA, name="Ada", email="Ada@Example.COM")]
    [claim] = customer.claimed
    assert (claim.scope, claim.value, type(claim.refusal)) == ("email", "ada@example.com", EmailTaken)


def test_a_mailbox_is_claimed_in_both_forms_of_its_domain() -> None:
    customer = Customer(ADA)

    when(customer, RegisterCustomer(customer_id=ADA, name="Ada", email="Ada@B\u00fccher.example"))

    claimed = [claim.value for claim in customer.claimed]
    assert claimed == ["ada@xn--bcher-kva.example", "ada@b\u00fccher.example"]


@pytest.mark.parametrize("email", ["mi\u212ae@example.com", "a@" + "\u00e9" * 60 + ".com"])
def test_an_address_that_no_mail_can_reach_is_refused(email: str) -> None:
    with pytest.raises(InvalidEmail):
        when(Customer(ADA), RegisterCustomer(customer_id=ADA, name="Ada", email=email))
    with pytest.raises(InvalidEmail):
        when(given(Customer, ADA, REGISTERED), ChangeCustomer(customer_id=ADA, email=email))


def test_the_same_domain_in_another_form_is_shown_so_and_claimed_as_before() -> None:
    customer = given(Customer, ADA, CustomerRegistered(customer_id=ADA, name="Ada", email="ada@b\u00fccher.example"))

    recorded = when(customer, ChangeCustomer(customer_id=ADA, email="ada@xn--bcher-kva.example"))

    assert recorded == [CustomerEmailChanged(customer_id=ADA, email="ada@xn--bcher-kva.example")]
    assert (customer.released, customer.claimed) == ([], [])


def test_the_claim_of_an_address_from_before_is_given_back() -> None:
    customer = given(Customer, ADA, CustomerRegistered(customer_id=ADA, name="Ada", email="ada@stra\u00dfe.example"))

    when(customer, ChangeCustomer(customer_id=ADA, email="ada@example.com"))

    assert ("email", "ada@strasse.example") in customer.released


def test_nobody_registers_twice() -> None:
    with pytest.raises(StreamExists):
        when(given(Customer, ADA, REGISTERED), RegisterCustomer(customer_id=ADA, name="Ada", email="b@example.com"))


def test_nobody_changes_before_registering() -> None:
    with pytest.raises(StreamNotFound):
        when(Customer(ADA), ChangeCustomer(customer_id=ADA, name="Ada"))


def test_each_thing_that_changed_is_an_event_of_its_own() -> None:
    recorded = when(
        given(Customer, ADA, REGISTERED),
        ChangeCustomer(customer_id=ADA, name="Ada King", email="king@example.com", birth_date=BORN, address=LONDON),
    )

    assert recorded == [
        CustomerRenamed(customer_id=ADA, name="Ada King"),
        CustomerEmailChanged(customer_id=ADA, email="king@example.com"),
        BIRTH_DATE_SET,
        LIVES_IN_LONDON,
    ]


def test_what_stays_the_same_is_not_recorded() -> None:
    recorded = when(
        given(Customer, ADA, REGISTERED, BIRTH_DATE_SET, LIVES_IN_LONDON),
        ChangeCustomer(customer_id=ADA, name="Ada", email="ada@example.com", birth_date=BORN, address=LONDON),
    )

    assert recorded == []


def test_what_is_left_unset_is_not_touched() -> None:
    customer = given(Customer, ADA, REGISTERED, BIRTH_DATE_SET, LIVES_IN_LONDON)

    assert when(customer, ChangeCustomer(customer_id=ADA, name="Ada King")) == [
        CustomerRenamed(customer_id=ADA, name="Ada King")
    ]


def test_birth_date_and_address_can_be_cleared() -> None:
    recorded = when(
        given(Customer, ADA, REGISTERED, BIRTH_DATE_SET, LIVES_IN_LONDON),
        ChangeCustomer(customer_id=ADA, birth_date=None, address=None),
    )

    assert recorded == [
        CustomerBirthDateSet(customer_id=ADA, birth_date=None),
        CustomerAddressChanged(customer_id=ADA, address=None),
    ]


def test_clearing_what_was_never_given_changes_nothing() -> None:
    recorded = when(given(Customer, ADA, REGISTERED), ChangeCustomer(customer_id=ADA, birth_date=None, address=None))

    assert recorded == []


def test_a_new_email_address_is_claimed_and_the_old_one_given_back() -> None:
    customer = given(Customer, ADA, REGISTERED)

    when(customer, ChangeCustomer(customer_id=ADA, email="King@Example.com"))

    assert customer.released == [("email", "ada@example.com")]
    assert [(claim.scope, claim.value) for claim in customer.claimed] == [("email", "king@example.com")]


def test_the_same_email_address_in_other_letters_is_shown_so_and_claimed_as_before() -> None:
    customer = given(Customer, ADA, REGISTERED)

    recorded = when(customer, ChangeCustomer(customer_id=ADA, email=" ADA@example.com"))

    assert recorded == [CustomerEmailChanged(customer_id=ADA, email="ADA@example.com")]
    assert (customer.released, customer.claimed) == ([], [])


def test_the_same_email_address_in_the_same_letters_is_no_change() -> None:
    customer = given(Customer, ADA, REGISTERED)

    assert when(customer, ChangeCustomer(customer_id=ADA, email=" ada@example.com ")) == []


def test_unset_and_cleared_are_told_apart_in_json() -> None:
    cleared = ChangeCustomer(customer_id=ADA, birth_date=None)

    encoded = msgspec.json.encode(cleared)

    assert encoded == b'{"customer_id":"%s","birth_date":null}' % str(ADA).encode()
    assert msgspec.json.decode(encoded, type=ChangeCustomer) == cleared


@pytest.mark.parametrize("name", ["Ada\nLovelace", "Ada\u202eecalevoL", "Ada\u0000", "Ada\u2028Lovelace", "Ada\x1b[1m"])
def test_a_name_without_a_control_character_is_asked_for(name: str) -> None:
    with pytest.raises(UnreadableText):
        when(Customer(ADA), RegisterCustomer(customer_id=ADA, name=name, email="ada@example.com"))
    with pytest.raises(UnreadableText):
        when(given(Customer, ADA, REGISTERED), ChangeCustomer(customer_id=ADA, name=name))


def test_each_change_of_a_password_is_a_fact_that_says_no_password() -> None:
    customer = given(Customer, ADA, REGISTERED, CustomerPasswordChanged(customer_id=ADA))

    assert when(customer, RecordPasswordChange(customer_id=ADA)) == [CustomerPasswordChanged(customer_id=ADA)]


def test_nobody_has_changed_the_password_of_who_is_not_there() -> None:
    with pytest.raises(StreamNotFound):
        when(Customer(ADA), RecordPasswordChange(customer_id=ADA))


def test_an_address_is_confirmed_once() -> None:
    customer = given(Customer, ADA, REGISTERED)
    confirm = ConfirmEmail(customer_id=ADA, email="ada@example.com")

    assert when(customer, confirm) == [CONFIRMED]
    assert when(given(Customer, ADA, REGISTERED, CONFIRMED), confirm) == []


def test_no_address_is_confirmed_that_is_not_the_one_the_customer_has() -> None:
    changed = CustomerEmailChanged(customer_id=ADA, email="king@example.com")

    with pytest.raises(EmailOutdated):
        when(given(Customer, ADA, REGISTERED, changed), ConfirmEmail(customer_id=ADA, email="ada@example.com"))
    with pytest.raises(StreamNotFound):
        when(Customer(ADA), ConfirmEmail(customer_id=ADA, email="ada@example.com"))


def test_another_address_is_to_be_confirmed_anew() -> None:
    changed = CustomerEmailChanged(customer_id=ADA, email="king@example.com")
    customer = given(Customer, ADA, REGISTERED, CONFIRMED, changed)

    recorded = when(customer, ConfirmEmail(customer_id=ADA, email="king@example.com"))

    assert recorded == [CustomerEmailConfirmed(customer_id=ADA, email="king@example.com")]


def test_a_link_is_asked_for_until_the_address_is_confirmed() -> None:
    asked, request = CustomerEmailLinkRequested(customer_id=ADA), RequestEmailLink(customer_id=ADA)

    assert when(given(Customer, ADA, REGISTERED, asked), request) == [asked]
    assert when(given(Customer, ADA, REGISTERED, CONFIRMED), request) == []
