from uuid import UUID

from eventstore.events import Meta
from ordering.domain.mail import MailSent
from ordering.domain.order import (
    Order,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderRefused,
    OrderReminderRequested,
    OrderStatusMailRequested,
    Status,
)
from ordering.domain.order_changes import QuantitiesChanged, QuantityChangeLapsed, QuantityChangeRefused
from ordering.domain.payment import PaymentRequested
from ordering.domain.values import Money
from ordering.effects import calendar, mail, order_mail
from ordering.providers import paying
from ordering.providers.provider import Instructions
from sagas.effects.effect import AT_LEAST_ONCE, effect
from sagas.errors import PermanentFailure


@effect("mail.payment-requested", on=PaymentRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_request(event: PaymentRequested, meta: Meta) -> MailSent | None:
    """Tell the customer how to pay: that the order has arrived, that it was reopened or, where a part of the money is
    there or the order was changed, what is still due. Nobody is asked to pay for what has ended by then.
    """
    order = send_request.look_up(Order, event.order_id, meta)
    if not order.awaits_payment:
        return None
    return order_mail.send(
        send_request,
        order,
        meta,
        order_mail.asking(order, event.payment_id),
        due=event.amount,
        how=_how_to_pay(event.provider, event.payment_id, order.number, event.amount),
    )


@effect("mail.payment-reminder", on=OrderReminderRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_reminder(event: OrderReminderRequested, meta: Meta) -> MailSent:
    """Remind the customer of what is due, until when, and how to pay it, if a payment has been asked for."""
    order = send_reminder.look_up(Order, event.order_id, meta)
    payment = order_mail.newest_payment(send_reminder, order, meta)
    due = order_mail.still_owed(send_reminder, order, meta)
    how = payment and _how_to_pay(payment.provider, payment.id, order.number, due)
    return order_mail.send(send_reminder, order, meta, "payment_reminder", due=due, how=how)


@effect("mail.order-confirmation", on=OrderConfirmed, delivery=AT_LEAST_ONCE, retries=8)
def send_confirmation(event: OrderConfirmed, meta: Meta) -> MailSent:
    """Tell the customer that the seats are theirs, with the conference as a calendar has it."""
    order = send_confirmation.look_up(Order, event.order_id, meta)
    file = calendar.conference_of_order(
        order_mail.conference_of(send_confirmation, order, meta),
        order_id=order.id,
        number=order.number,
        at=send_confirmation.requested_at(meta),
    )
    attached = mail.Attachment("conference.ics", file, "text/calendar")
    return order_mail.send(send_confirmation, order, meta, "order_confirmation", attachments=(attached,))


@effect("mail.order-refused", on=OrderRefused, delivery=AT_LEAST_ONCE, retries=8)
def send_refusal(event: OrderRefused, meta: Meta) -> MailSent:
    """Tell the customer that there were no seats."""
    order = send_refusal.look_up(Order, event.order_id, meta)
    return order_mail.send(send_refusal, order, meta, "order_refused", reason=event.reason)


@effect("mail.order-expired", on=OrderExpired, delivery=AT_LEAST_ONCE, retries=8)
def send_expiry(event: OrderExpired, meta: Meta) -> MailSent:
    """Tell the customer that the time to pay is over, and whether money goes back."""
    order = send_expiry.look_up(Order, event.order_id, meta)
    return order_mail.send(send_expiry, order, meta, "order_expired")


@effect("mail.order-cancelled", on=OrderCancelled, delivery=AT_LEAST_ONCE, retries=8)
def send_cancellation(event: OrderCancelled, meta: Meta) -> MailSent:
    """Tell the customer that the order is cancelled, what is kept of the money, and what goes back."""
    order = send_cancellation.look_up(Order, event.order_id, meta)
    back = order.held - order.fee
    return order_mail.send(send_cancellation, order, meta, "order_cancelled", fee=order.fee, back=back)


@effect("mail.order-changed", on=QuantitiesChanged, delivery=AT_LEAST_ONCE, retries=8)
def send_change(event: QuantitiesChanged, meta: Meta) -> MailSent | None:
    """Tell the customer which seats a confirmed order has now, and what goes back: what it costs less, or, where it
    costs the same, what had come for a change before. Of one that waited for its payment tells the mail that asks for
    what is due, or confirms it.
    """
    order = send_change.look_up(Order, event.order_id, meta)
    if order.status is not Status.CONFIRMED:
        return None
    less, back = event.before - event.total, event.due * -1
    if less.amount:
        back = min(less, back)
    return order_mail.send(send_change, order, meta, "order_changed", due=event.due, back=back)


@effect("mail.order-change-refused", on=QuantityChangeRefused, delivery=AT_LEAST_ONCE, retries=8)
def send_change_refusal(event: QuantityChangeRefused, meta: Meta) -> MailSent:
    """Tell the customer that the seats of a change were gone, and that the order is as it was."""
    order = send_change_refusal.look_up(Order, event.order_id, meta)
    return order_mail.send(send_change_refusal, order, meta, "order_change_refused", reason=event.reason)


@effect("mail.order-change-lapsed", on=QuantityChangeLapsed, delivery=AT_LEAST_ONCE, retries=8)
def send_lapse(event: QuantityChangeLapsed, meta: Meta) -> MailSent:
    """Tell the customer that the time to pay for a change is over, and that the order is as it was."""
    order = send_lapse.look_up(Order, event.order_id, meta)
    return order_mail.send(send_lapse, order, meta, "order_change_lapsed", due=event.due)


@effect("mail.order-status", on=OrderStatusMailRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_status(event: OrderStatusMailRequested, meta: Meta) -> MailSent:
    """Tell the customer how the order stood when this was asked for."""
    order = send_status.look_up(Order, event.order_id, meta)
    return order_mail.send(send_status, order, meta, "order_status", due=order.due)


def _how_to_pay(provider: str, payment_id: UUID, number: str, amount: Money) -> Instructions:
    how = paying.told(provider, payment_id, order_number=number, amount=amount)
    if how is None:
        raise PermanentFailure(f"There is no provider by the name of {provider!r}.")
    return how
