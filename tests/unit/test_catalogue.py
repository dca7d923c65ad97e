"""What holds for every event, command and refusal of the business, whichever it is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from eventstore.aggregates import Aggregate, Command
from eventstore.errors import DomainError
from eventstore.events import Event, catalogue
from ordering.domain import errors
from ordering.domain.conference import ConferenceSeats
from ordering.domain.customer import Customer
from ordering.domain.finance import Account
from ordering.domain.order import Order
from ordering.domain.password_reset import PasswordReset
from ordering.domain.payment import Payment
from ordering.domain.scheduling import ConferenceScheduled
from ordering.domain.unmatched_payment import UnmatchedPayment
from ordering.domain.values import Address, Money
from ordering.domain.waitlist import Waitlist

from .samples import SCHEDULED

AGGREGATES: list[type[Aggregate]] = [
    *(Customer, PasswordReset, ConferenceSeats, Order, Payment, UnmatchedPayment, Waitlist, Account)
]
EVENTS: list[type[Event]] = [event for event in catalogue if event.__module__.startswith("ordering.domain.")]
COMMANDS: list[type[Command]] = [command for aggregate in AGGREGATES for command in aggregate.handlers]
REFUSALS: list[type[DomainError]] = [
    error for error in vars(errors).values() if isinstance(error, type) and error.__module__ == errors.__name__
]

AMOUNTS = st.decimals("-999999999999.99", "999999999999.99", places=2)
CURRENCIES = st.sampled_from(["EUR", "CHF", "USD"])


@cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that a field of an event or command may have. Strategies are slow to make, so each is made
    once.
    """
    if kind is Money:
        return st.builds(Money, AMOUNTS, CURRENCIES)
    if kind is Address:
        return st.builds(Address, st.text(), st.text(), st.text(), st.sampled_from(["DE", "GB"]))
    if kind is UnsetType:
        return st.just(UNSET)
    if kind is datetime:
        return st.datetimes(timezones=st.just(UTC))
    if kind is int:
        return st.integers(-(2**63), 2**63 - 1)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{name: values_of(hint) for name, hint in fields_of(kind)})
    if get_origin(kind) is dict:
        return st.dictionaries(*map(values_of, get_args(kind)), max_size=3)
    if get_args(kind) and get_args(kind)[-1] is Ellipsis:
        return st.lists(values_of(get_args(kind)[0]), max_size=3).map(tuple)
    if get_args(kind):
        return st.one_of([values_of(part) for part in get_args(kind)])
    return st.from_type(kind)


def fields_of(struct: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(struct)
    return ((name, hints[name]) for name in struct.__struct_fields__)


@pytest.mark.parametrize("kind", [*EVENTS, *COMMANDS], ids=lambda kind: kind.__name__)
@settings(deadline=None)
@for_all(data=st.data())
def test_what_is_stored_is_read_back_as_it_was(kind: type[Event | Command], data: st.DataObject) -> None:
    value = data.draw(values_of(kind))

    assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value


def test_every_event_has_a_stored_name_of_its_own() -> None:
    assert {event.stored for event in EVENTS} == {
        "customer.registered",
        "customer.renamed",
        "customer.email-changed",
        "customer.email-confirmed",
        "customer.email-link-requested",
        "customer.password-changed",
        "password-reset.requested",
        "customer.birth-date-set",
        "customer.address-changed",
        "conference.scheduled",
        "conference.renamed",
        "conference.moved",
        "conference.sales-window-changed",
        "conference.sales-closed",
        "conference.sales-reopened",
        "conference.mail-note-changed",
        "conference.cancelled",
        "conference.orders-called-off",
        "conference.payment-terms-changed",
        "conference.cancellation-rule-changed",
        "conference.customer-limit-changed",
        "conference.providers-changed",
        "seats.added",
        "seats.repriced",
        "seats.renamed",
        "seats.limit-changed",
        "seats.capacity-changed",
        "seats.pool-added",
        "seats.pool-renamed",
        "seats.pool-capacity-changed",
        "seats.pools-assigned",
        "seats.held",
        "seats.hold-released",
        "seats.reserved",
        "seats.refused",
        "seats.released",
        "seats.sold",
        "seats.changed",
        "seats.change-refused",
        "order.placed",
        "order.refused",
        "order.confirmed",
        "order.expired",
        "order.cancelled",
        "order.extended",
        "order.deadline-moved",
        "order.reopened",
        "order.quantity-change-requested",
        "order.quantities-changed",
        "order.quantity-change-refused",
        "order.quantity-change-owed",
        "order.quantity-change-lapsed",
        "order.status-mail-requested",
        "order.payment-credited",
        "order.underpaid",
        "order.refund-debited",
        "order.refund-recredited",
        "order.taken-up",
        "order.reminder-requested",
        "order.provider-chosen",
        "payment.requested",
        "payment.accepted",
        "payment.pending",
        "payment.declined",
        "payment.refunded",
        "payment.unmatched",
        "payment.assigned",
        "finance.payment-received",
        "finance.payment-moved-out",
        "finance.payment-moved-in",
        "refund.requested",
        "refund.answered",
        "refund.settled",
        "refund.failed",
        "refund.reversed",
        "refund.reduced",
        "waitlist.joined",
        "waitlist.chosen",
        "waitlist.seats-missed",
        "waitlist.offered",
        "waitlist.accepted",
        "waitlist.declined",
        "waitlist.lapsed",
        "waitlist.left",
        "waitlist.prioritised",
        "mail.sent",
    }
    assert len(EVENTS) == 86


def test_every_event_that_does_not_stand_alone_is_folded_by_exactly_one_aggregate() -> None:
    folded = [event for aggregate in AGGREGATES for event, _ in aggregate.declared_evolvers()]

    assert sorted(event.stored for event in folded) == sorted(event.stored for event in EVENTS if not event.standalone)


def test_every_command_has_a_stored_name_of_its_own() -> None:
    assert len({command.stored for command in COMMANDS}) == len(COMMANDS) == 81


def test_every_command_names_its_stream() -> None:
    assert all(command.stream in command.__struct_fields__ for command in COMMANDS)


def test_every_refusal_has_a_code_of_its_own_and_says_why() -> None:
    assert len({error.code for error in REFUSALS}) == len(REFUSALS)
    assert all(str(error()) == error.__doc__ for error in REFUSALS)


def test_a_time_without_a_zone_cannot_be_stored() -> None:
    without_zone = msgspec.structs.replace(SCHEDULED, starts_at=datetime(2030, 1, 3, 12))

    with pytest.raises(msgspec.ValidationError, match="starts_at"):
        msgspec.json.decode(msgspec.json.encode(without_zone), type=ConferenceScheduled)


def test_an_older_process_reads_a_newer_event() -> None:
    data = b'{"order_id":"01890000-0000-7000-8000-000000000001","confirmed_by":"somebody"}'

    assert msgspec.json.decode(data, type=catalogue["order.confirmed"]).stored == "order.confirmed"


def test_money_is_exact() -> None:
    encoded = msgspec.json.encode(Money(Decimal("0.10"), "EUR"))

    assert msgspec.json.decode(encoded, type=Money).amount.as_tuple() == Decimal("0.10").as_tuple()
