"""What happened, in words: a sentence for each event that staff read about."""

from functools import singledispatch

from eventstore.codec import Recorded
from eventstore.events import Event
from ordering.admin.formatting import in_zone, money
from ordering.domain.finance import (
    PaymentMovedIn,
    PaymentMovedOut,
    PaymentReceived,
    RefundAnswered,
    RefundFailed,
    RefundReduced,
    RefundRequested,
    RefundReversed,
    RefundSettled,
)
from ordering.domain.mail import MailSent
from ordering.domain.order import (
    DeadlineMoved,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderExtended,
    OrderPlaced,
    OrderRefused,
    OrderReminderRequested,
    OrderReopened,
    OrderStatusMailRequested,
    OrderTakenUp,
    OrderUnderpaid,
    PaymentCredited,
    ProviderChosen,
    RefundDebited,
    RefundRecredited,
)
from ordering.domain.order_changes import (
    QuantitiesChanged,
    QuantityChangeLapsed,
    QuantityChangeOwed,
    QuantityChangeRefused,
    QuantityChangeRequested,
)
from ordering.domain.password_reset import PasswordResetRequested
from ordering.domain.payment import (
    PaymentAccepted,
    PaymentAssigned,
    PaymentDeclined,
    PaymentPending,
    PaymentRefunded,
    PaymentRequested,
    PaymentUnmatched,
)
from ordering.domain.seats import (
    SeatsChanged,
    SeatsChangeRefused,
    SeatsRefused,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
)
from ordering.domain.values import Money
from ordering.domain.waitlist import (
    Leaving,
    WaitlistAccepted,
    WaitlistChosen,
    WaitlistDeclined,
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOffered,
    WaitlistPrioritised,
    WaitlistSeatsMissed,
)
from sagas.refusal import CommandRefused

LEFT = {
    Leaving.WISH: "its customer wished so",
    Leaving.STAFF: "staff took it off",
    Leaving.BOUGHT: "its customer has got the seats in another way",
    Leaving.CONFERENCE_CANCELLED: "the conference was cancelled",
    Leaving.SALES_ENDED: "sales ended",
    Leaving.NOT_ORDERED: "the seats that it accepted could not be ordered any more",
}
"""Why an entry is on a waitlist no more."""


def sentence(recorded: Recorded) -> str:
    """What an event says; one that has no words of its own is called by its name."""
    return say(recorded.event)


@singledispatch
def say(event: Event) -> str:
    """Each event that staff read about has words of its own here."""
    return f"{event.stored.replace('.', ': ').replace('-', ' ').capitalize()}."


def shown(amount: Money) -> str:
    return money(amount.amount, amount.currency)


def via(provider: str) -> str:
    """Through whom money comes or goes."""
    return provider.replace("-", " ") or "an unknown provider"


def mail(effect: str) -> str:
    """What the mail is called that an effect sends."""
    return effect.removeprefix("mail.").replace("-", " ")


def seats(lines: tuple[object, ...]) -> str:
    return ", ".join(f"{line.quantity} × {line.seat_type}" for line in lines)  # type: ignore[attr-defined]


def because(reason: str) -> str:
    return f": {reason}" if reason else "."


@say.register
def _(event: OrderPlaced) -> str:
    return f"{event.number} was placed: {seats(event.lines)} for {shown(event.total)}."


@say.register
def _(event: OrderRefused) -> str:
    return f"The order was refused{because(event.reason)}"


@say.register
def _(event: OrderConfirmed) -> str:
    return "The order is confirmed."


@say.register
def _(event: OrderExpired) -> str:
    return "The order has expired: it was not paid in time."


@say.register
def _(event: OrderCancelled) -> str:
    return f"The order was cancelled{because(event.reason)}"


@say.register
def _(event: OrderExtended) -> str:
    return f"The order is to be paid until {in_zone(event.expires_at, 'UTC')}{because(event.reason)}"


@say.register
def _(event: DeadlineMoved) -> str:
    return f"A payment is under way or was: the order is to be paid until {in_zone(event.expires_at, 'UTC')}."


@say.register
def _(event: OrderReopened) -> str:
    until = in_zone(event.expires_at, "UTC")
    return f"The order was reopened, and is to be paid until {until}{because(event.reason)}"


@say.register
def _(event: QuantityChangeRequested) -> str:
    return f"The order is to have {seats(event.lines)}{because(event.reason)}"


@say.register
def _(event: QuantitiesChanged) -> str:
    return f"The order has {seats(event.lines)} now: it costs {shown(event.total)} instead of {shown(event.before)}."


@say.register
def _(event: QuantityChangeRefused) -> str:
    return f"The order stays as it was{because(event.reason)}"


@say.register
def _(event: QuantityChangeOwed) -> str:
    until = in_zone(event.expires_at, "UTC")
    return (
        f"The order has {seats(event.lines)} as soon as {shown(event.due)} are paid, until {until}: it will cost "
        f"{shown(event.total)} then."
    )


@say.register
def _(event: QuantityChangeLapsed) -> str:
    return f"The change was not paid in time: the order still has {seats(event.lines)}."


@say.register
def _(event: OrderTakenUp) -> str:
    return "The order was taken up again: it had expired, was paid late, and has got seats."


@say.register
def _(event: ProviderChosen) -> str:
    return f"The order is to be paid by {via(event.provider)}."


@say.register
def _(event: OrderUnderpaid) -> str:
    return f"{shown(event.due)} are still due."


@say.register
def _(event: OrderReminderRequested) -> str:
    return "The time to pay is running out: a reminder is due."


@say.register
def _(event: OrderStatusMailRequested) -> str:
    return "A mail that says how the order stands was asked for."


@say.register
def _(event: PaymentCredited) -> str:
    said = f"{shown(event.amount)} were credited to the order"
    if event.due.amount > 0:
        return f"{said}; {shown(event.due)} are still due."
    return f"{said}, which is {shown(event.due * -1)} too much." if event.due.amount < 0 else f"{said}: all is paid."


@say.register
def _(event: RefundDebited) -> str:
    return f"{shown(event.amount)} that went back were debited to the order."


@say.register
def _(event: RefundRecredited) -> str:
    return f"{shown(event.amount)} that came back were credited to the order again."


@say.register
def _(event: SeatsReserved) -> str:
    return f"The conference has reserved {seats(event.lines)}."


@say.register
def _(event: SeatsRefused) -> str:
    return f"The conference has no seats for the order{because(event.reason)}"


@say.register
def _(event: SeatsChanged) -> str:
    return f"The conference has given the order {seats(event.lines)} instead of {seats(event.before)}."


@say.register
def _(event: SeatsChangeRefused) -> str:
    return f"The conference could not give the order {seats(event.lines)} instead{because(event.reason)}"


@say.register
def _(event: SeatsReleased) -> str:
    return f"The conference has got {seats(event.lines)} back."


@say.register
def _(event: SeatsSold) -> str:
    return f"The conference has sold {seats(event.lines)}."


@say.register
def _(event: PaymentRequested) -> str:
    return f"{shown(event.amount)} were asked for, through {via(event.provider)}."


@say.register
def _(event: PaymentPending) -> str:
    return f"The payment is on its way{f', {event.reference}' if event.reference else ''}."


@say.register
def _(event: PaymentDeclined) -> str:
    return f"The payment was declined{because(event.reason)}"


@say.register
def _(event: PaymentAccepted) -> str:
    by = f" by {via(event.provider)}" if event.provider else ""
    return f"{shown(event.amount)} arrived{by}, {event.reference}."


@say.register
def _(event: PaymentRefunded) -> str:
    return f"{shown(event.amount)} went back{because(event.reason)}"


@say.register
def _(event: PaymentUnmatched) -> str:
    return f"{shown(event.amount)} arrived by {via(event.provider)}, {event.reference}, and nobody knew for what."


@say.register
def _(event: PaymentAssigned) -> str:
    return f"{shown(event.amount)} by {via(event.provider)}, {event.reference}, were assigned to the order."


@say.register
def _(event: PaymentReceived) -> str:
    return f"Finance has booked {shown(event.amount)} by {via(event.provider)}, {event.reference}."


@say.register
def _(event: PaymentMovedIn) -> str:
    return f"Finance has booked {shown(event.amount)} by {via(event.provider)}, {event.reference}, for the order."


@say.register
def _(event: PaymentMovedOut) -> str:
    return f"Finance has moved {shown(event.amount)} by {via(event.provider)}, {event.reference}, to an order."


@say.register
def _(event: RefundRequested) -> str:
    if event.made_there:
        return f"{shown(event.amount)} of {event.reference} went back at the provider."
    again = f" for the {ordinal(event.attempt)} time" if event.attempt > 1 else ""
    return f"{shown(event.amount)} of {event.reference} are to go back{again}{because(event.reason)}"


@say.register
def _(event: RefundAnswered) -> str:
    return f"The provider says to the refund: {event.outcome}{because(event.reason)}"


@say.register
def _(event: RefundSettled) -> str:
    how = " by hand" if event.by_hand else ""
    named = f", {event.refund_reference}" if event.refund_reference else ""
    return f"{shown(event.amount)} of {event.reference} went back{how}{named}."


@say.register
def _(event: RefundFailed) -> str:
    return f"The refund of {shown(event.amount)} of {event.reference} has failed{because(event.reason)}"


@say.register
def _(event: RefundReversed) -> str:
    return (
        f"{shown(event.amount)} of {event.reference} had gone back and came back to the provider: "
        f"the refund has failed{because(event.reason)}"
    )


@say.register
def _(event: RefundReduced) -> str:
    left = f"is only of {shown(event.amount)} now" if event.amount.amount else "is closed"
    return f"The refund of {event.reference} that failed {left}: its money is not there any more."


@say.register
def _(event: WaitlistJoined) -> str:
    why = "an order for them was refused" if event.refused_order_id else "its customer wished so"
    return f"The entry waits for {seats(event.lines)}: {why}."


@say.register
def _(event: WaitlistChosen) -> str:
    return f"It is the entry's turn: {seats(event.lines)} are asked for."


@say.register
def _(event: WaitlistSeatsMissed) -> str:
    return "The seats were gone already: the entry waits on, in its place."


@say.register
def _(event: WaitlistOffered) -> str:
    return f"{seats(event.lines)} are offered until {in_zone(event.until, 'UTC')}."


@say.register
def _(event: WaitlistAccepted) -> str:
    return f"The offer was accepted: {seats(event.lines)} are ordered."


@say.register
def _(event: WaitlistDeclined) -> str:
    return "The offer was declined."


@say.register
def _(event: WaitlistLapsed) -> str:
    return f"The offer of {seats(event.lines)} has lapsed: it was not accepted in time."


@say.register
def _(event: WaitlistLeft) -> str:
    seats_too = " Its seats are given back." if event.seats_id else ""
    said = f" ({event.note})" if event.note else ""
    return f"The entry left the waitlist: {LEFT[event.reason]}{said}.{seats_too}"


@say.register
def _(event: WaitlistPrioritised) -> str:
    return f"The entry has priority {event.priority}{because(event.reason)}"


@say.register
def _(event: PasswordResetRequested) -> str:
    return "A mail with a link to a new password was asked for."


@say.register
def _(event: MailSent) -> str:
    return f"The mail “{mail(event.effect)}” was sent."


@say.register
def _(event: CommandRefused) -> str:
    return f"{event.command} was refused: {event.detail} ({event.code})"


def ordinal(number: int) -> str:
    """2nd, 3rd, 4th and so on; 11th to 13th as well."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
