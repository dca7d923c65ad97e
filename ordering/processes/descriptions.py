"""What staff call the instances of the sagas, and what these wait for."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from uuid import UUID

from eventstore.events import Event
from ordering.domain.conference_changes import OrdersCalledOff
from ordering.domain.payment import PaymentAccepted
from ordering.domain.seats import SeatsChanged, SeatsChangeRefused, SeatsRefused, SeatsReserved
from ordering.domain.waitlist import WaitlistAccepted
from ordering.models import ConferenceSummary, OrderSummary
from ordering.processes.cancellation import Cancellation, CancellationState
from ordering.processes.sale import Sale, SaleState
from ordering.processes.waitlist import Offering, OfferState, Waiting
from sagas.descriptions import Description, Title


class SaleDescription(Description, of=Sale.name):
    """By the number of the order."""

    def titles(self, keys: Collection[str]) -> Mapping[str, Title]:
        found = OrderSummary.objects.filter(pk__in=_ids(keys)).values_list("pk", "number")
        return {str(pk): Title(f"Order {number}", "ordering_ordersummary_change", (pk,)) for pk, number in found}

    def awaits(self, state: SaleState) -> Iterable[type[Event]]:
        if state.awaits_seats or state.reserving:
            return [SeatsReserved, SeatsRefused]
        if state.changing:
            return [SeatsChanged, SeatsChangeRefused]
        return [PaymentAccepted] if state.waits else []


class WaitingDescription(Description, of=Waiting.name):
    """By the name of the conference."""

    def titles(self, keys: Collection[str]) -> Mapping[str, Title]:
        return _conferences(keys)


class CancellationDescription(Description, of=Cancellation.name):
    """By the name of the conference."""

    def titles(self, keys: Collection[str]) -> Mapping[str, Title]:
        return _conferences(keys)

    def awaits(self, state: CancellationState) -> Iterable[type[Event]]:
        return [OrdersCalledOff]


class OfferDescription(Description, of=Offering.name):
    def awaits(self, state: OfferState) -> Iterable[type[Event]]:
        return [WaitlistAccepted]


def _conferences(keys: Collection[str]) -> Mapping[str, Title]:
    found = ConferenceSummary.objects.filter(pk__in=_ids(keys)).values_list("pk", "name")
    return {str(pk): Title(name, "ordering_conferencesummary_change", (pk,)) for pk, name in found}


def _ids(keys: Collection[str]) -> list[UUID]:
    found = []
    for key in keys:
        with suppress(ValueError):
            found.append(UUID(key))
    return found
