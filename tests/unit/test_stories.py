"""What was changed about a conference or a customer, in words: how it is now, and how it was before."""

from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from eventstore.events import Event
from eventstore.testing import given
from ordering.admin import conference_story, customer_story
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    CancellationRuleChanged,
    ConferenceCancelled,
    ConferenceMoved,
    ConferenceRenamed,
    CustomerLimitChanged,
    HoldReleased,
    MailNoteChanged,
    OrdersCalledOff,
    PaymentTermsChanged,
    Pool,
    PoolAdded,
    PoolCapacityChanged,
    PoolRenamed,
    PoolsAssigned,
    ProvidersChanged,
    SalesClosed,
    SalesReopened,
    SalesWindowChanged,
    SeatCapacityChanged,
    SeatLimitChanged,
    SeatsHeld,
    SeatsRenamed,
    SeatsRepriced,
)
from ordering.domain.customer import (
    Customer,
    CustomerAddressChanged,
    CustomerBirthDateSet,
    CustomerEmailChanged,
    CustomerEmailConfirmed,
    CustomerEmailLinkRequested,
    CustomerPasswordChanged,
    CustomerRenamed,
)
from ordering.domain.seats import SeatsAdded
from ordering.domain.terms import CancellableUntil, CancellationRule, PaymentTerms, Unit
from ordering.domain.values import Address

from .samples import ADA, ANOTHER_ORDER, CONFERENCE, ON_SALE, ORDER, REGISTERED, SCHEDULED, STANDARD, euros

OF_IT: dict[str, Any] = {"conference_id": CONFERENCE}
OF_STANDARD: dict[str, Any] = {**OF_IT, "seat_type": "standard"}
HALL = PoolAdded(**OF_IT, pool=Pool("hall", "Hall", 40))
IN_BERLIN = ConferenceMoved(**OF_IT, starts_at=SCHEDULED.starts_at, time_zone="Europe/Berlin", place="Gasteig")
HELD = SeatsHeld(**OF_STANDARD, hold_id=ORDER, quantity=5, label="Speakers", reason="They get in free.")
FLAT = Address("Dorset Street 1", "W1", "London", "GB")

SCHEDULED_IN_WORDS = (
    "Logs was scheduled: it starts on 3 Jan 2030 12:00 UTC, and is sold from 31 Dec 2029 12:00 UTC until "
    "2 Jan 2030 12:00 UTC."
)
MOVED_IN_WORDS = (
    "The conference starts on 3 Jan 2030 13:00 Europe/Berlin instead of 3 Jan 2030 12:00 UTC, and is held in Gasteig "
    "instead of no place."
)

CHANGES = [
    ((), SCHEDULED, SCHEDULED_IN_WORDS),
    (ON_SALE, ConferenceRenamed(**OF_IT, name="Events"), "The conference is called Events instead of Logs."),
    (
        ON_SALE,
        IN_BERLIN,
        MOVED_IN_WORDS,
    ),
    (
        (*ON_SALE, IN_BERLIN),
        SalesWindowChanged(**OF_IT, opens_at=SCHEDULED.opens_at, closes_at=SCHEDULED.closes_at + timedelta(hours=1)),
        "Sales close on 2 Jan 2030 14:00 Europe/Berlin instead of 2 Jan 2030 13:00 Europe/Berlin.",
    ),
    (ON_SALE, SalesClosed(**OF_IT, reason="The hall burns."), "Sales were closed: The hall burns."),
    (ON_SALE, SalesReopened(**OF_IT), "Sales were opened again: the sales window counts."),
    (
        ON_SALE,
        MailNoteChanged(**OF_IT, note="Take a coat."),
        "Mails have another paragraph of the organizer's: Take a coat.",
    ),
    (
        (*ON_SALE, MailNoteChanged(**OF_IT, note="Take a coat.")),
        MailNoteChanged(**OF_IT, note=""),
        "Mails have no paragraph of the organizer's any more; it was: Take a coat.",
    ),
    (ON_SALE, ConferenceCancelled(**OF_IT, reason="Nobody comes."), "The conference was cancelled: Nobody comes."),
    (ON_SALE, OrdersCalledOff(**OF_IT, order_ids=(ORDER,), left=0), "One order was called off."),
    (
        ON_SALE,
        OrdersCalledOff(**OF_IT, order_ids=(ORDER, ANOTHER_ORDER), left=1_200),
        "2 orders were called off; 1,200 more are to follow.",
    ),
    (
        ON_SALE,
        PaymentTermsChanged(**OF_IT, terms=PaymentTerms(14, Unit.DAYS)),
        "Orders are to be paid within 14 days, instead of within 15 minutes.",
    ),
    (
        ON_SALE,
        CancellationRuleChanged(**OF_IT, rule=CancellationRule(CancellableUntil.NEVER)),
        "Orders are cancelled by another rule: never; before: until the start, at no cost.",
    ),
    (
        ON_SALE,
        CustomerLimitChanged(**OF_IT, max_per_customer=4),
        "One customer may have at most 4 seats instead of any number of seats.",
    ),
    (
        ON_SALE,
        ProvidersChanged(**OF_IT, providers=("bank-transfer", "stripe")),
        "Orders are paid by bank transfer, stripe instead of the usual provider of the site.",
    ),
    (ON_SALE[:1], ON_SALE[1], "Standard was added: 10 seats at 199.00 EUR, 1 to 4 in an order."),
    (ON_SALE, SeatsAdded(**OF_IT, seat_type=replace(STANDARD, capacity=5)), "Standard has 15 seats instead of 10."),
    (
        (*ON_SALE, SeatsRenamed(**OF_STANDARD, name="Regular")),
        SeatsRepriced(**OF_STANDARD, price=euros("189.00")),
        "Regular costs 189.00 EUR instead of 199.00 EUR.",
    ),
    (
        ON_SALE,
        SeatCapacityChanged(**OF_STANDARD, capacity=8, reason="The hall is smaller."),
        "Standard has 8 seats instead of 10: The hall is smaller.",
    ),
    (ON_SALE, SeatsRenamed(**OF_STANDARD, name="Regular"), "Standard is called Regular now."),
    (
        ON_SALE,
        SeatLimitChanged(**OF_STANDARD, max_per_order=6, min_per_order=2),
        "An order with Standard has 2 to 6 of them instead of 1 to 4.",
    ),
    (ON_SALE, HALL, "The pool Hall was added, with 40 places."),
    (
        (*ON_SALE, HALL),
        PoolsAssigned(**OF_STANDARD, pools=("hall",)),
        "Standard draws on Hall instead of no pool.",
    ),
    ((*ON_SALE, HALL), PoolRenamed(**OF_IT, pool="hall", name="Aula"), "The pool Hall is called Aula now."),
    (
        (*ON_SALE, HALL),
        PoolCapacityChanged(**OF_IT, pool="hall", capacity=30, reason=""),
        "The pool Hall has 30 places instead of 40.",
    ),
    (ON_SALE, HELD, "5 × Standard are held for Speakers: They get in free."),
    (
        (*ON_SALE, HELD),
        HoldReleased(**OF_STANDARD, hold_id=ORDER, quantity=3),
        "3 × Standard that were held for Speakers are free again, and 2 are still held.",
    ),
]


@pytest.mark.parametrize(("before", "event", "words"), CHANGES, ids=[words for *_, words in CHANGES])
def test_a_change_of_a_conference_says_what_it_was_before(before: tuple[Event, ...], event: Event, words: str) -> None:
    assert conference_story.tell(event, given(ConferenceSeats, CONFERENCE, *before)) == words


def test_all_that_is_told_of_a_conference_has_an_example_here() -> None:
    assert {type(event) for _, event, _ in CHANGES} == set(conference_story.TOLD)


@pytest.mark.parametrize(
    ("before", "event", "words"),
    [
        ((), REGISTERED, "Ada was registered as ada@example.com."),
        (
            (),
            replace(REGISTERED, welcome=False),
            "Ada was registered as ada@example.com, without a mail of welcome.",
        ),
        (
            (REGISTERED,),
            CustomerRenamed(customer_id=ADA, name="Ida"),
            "The customer is called Ida instead of Ada.",
        ),
        (
            (REGISTERED,),
            CustomerPasswordChanged(customer_id=ADA),
            "The password was changed, by the link of a mail.",
        ),
        (
            (REGISTERED,),
            CustomerEmailChanged(customer_id=ADA, email="ada@example.org"),
            "The email address is ada@example.org instead of ada@example.com.",
        ),
        (
            (REGISTERED,),
            CustomerEmailConfirmed(customer_id=ADA, email="ada@example.com"),
            "The email address ada@example.com was confirmed, by the link of a mail.",
        ),
        (
            (REGISTERED,),
            CustomerEmailLinkRequested(customer_id=ADA),
            "Another mail with a link that confirms the email address was asked for.",
        ),
        (
            (REGISTERED,),
            CustomerBirthDateSet(customer_id=ADA, birth_date=date(1815, 12, 10)),
            "The date of birth is 10 Dec 1815.",
        ),
        (
            (REGISTERED, CustomerAddressChanged(customer_id=ADA, address=FLAT)),
            CustomerAddressChanged(customer_id=ADA, address=replace(FLAT, street="Dorset Street 2")),
            "The address is Dorset Street 2, W1 London, GB instead of Dorset Street 1, W1 London, GB.",
        ),
        (
            (REGISTERED, CustomerAddressChanged(customer_id=ADA, address=FLAT)),
            CustomerAddressChanged(customer_id=ADA, address=None),
            "The address was removed; it was Dorset Street 1, W1 London, GB.",
        ),
    ],
)
def test_a_change_of_a_customer_says_what_it_was_before(before: tuple[Event, ...], event: Event, words: str) -> None:
    assert customer_story.tell(event, given(Customer, ADA, *before)) == words
