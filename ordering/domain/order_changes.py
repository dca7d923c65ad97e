"""Changes of the quantities of an order: what is asked for, and what becomes of it."""

from uuid import UUID

import msgspec

from eventstore.aggregates import Command, command
from eventstore.events import Event, event
from ordering.domain.seats import Line, PricedLine
from ordering.domain.values import Moment, Money


class OwedChange(msgspec.Struct, frozen=True):
    """A change that a confirmed order owes money for: its lines, and what the order will cost. It is in force once as
    much money has come in for the order as it `needs`.
    """

    change: int
    lines: tuple[PricedLine, ...]
    total: Money
    needs: Money
    grace: int


@event("order.quantity-change-requested")
class QuantityChangeRequested(Event):
    """The order is to have these lines instead of its own, if the conference has the seats. `change` counts the changes
    of the order that were asked for, from 1.
    """

    order_id: UUID
    change: int
    lines: tuple[PricedLine, ...]
    reason: str = ""


@event("order.quantities-changed")
class QuantitiesChanged(Event):
    """It cost `before`, costs `total` now, and owes `due`, negative if there is too much."""

    order_id: UUID
    change: int
    lines: tuple[PricedLine, ...]
    before: Money
    total: Money
    due: Money
    expires_at: Moment


@event("order.quantity-change-refused")
class QuantityChangeRefused(Event):
    """The conference didn't have the seats by then: the order is as it was."""

    order_id: UUID
    change: int
    reason: str
    expires_at: Moment


@event("order.quantity-change-owed")
class QuantityChangeOwed(Event):
    """A confirmed order has the seats of these lines beside its own, until what is `due` is paid, at the latest at
    `expires_at`, and for `grace` minutes more. It will cost `total` then. `needs` is what is due and all that has come
    in for it before.
    """

    order_id: UUID
    change: int
    lines: tuple[PricedLine, ...]
    total: Money
    needs: Money
    due: Money
    expires_at: Moment
    grace: int


@event("order.quantity-change-lapsed")
class QuantityChangeLapsed(Event):
    """What it came to was not paid in time: the order has these lines, as before the change, and owes `due`, negative
    if there is too much.
    """

    order_id: UUID
    change: int
    lines: tuple[PricedLine, ...]
    due: Money


@command("order.change-quantities", stream="order_id")
class ChangeQuantities(Command):
    """All that the order is to have; a seat type that isn't named is given up."""

    order_id: UUID
    lines: tuple[Line, ...]
    reason: str = ""


@command("order.conclude-change", stream="order_id")
class ConcludeChange(Command):
    """The conference has made the change, or says why it didn't. When it was asked for the order had some money to
    `spare`, above what it cost, that is not on its way back.
    """

    order_id: UUID
    change: int
    refusal: str = ""
    spare: Money | None = None


@command("order.take-up-change", stream="order_id")
class TakeUpChange(Command):
    """A change that had lapsed is paid by now, and is wanted again."""

    order_id: UUID
