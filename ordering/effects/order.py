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
from ordering.domain.payment import PaymentRequested
from ordering.domain.values import payment_id_of
from ordering.effects import calendar, mail, order_mail
from ordering.providers import registry
from ordering.providers.provider import Instructions
from sagas.effects.effect import AT_LEAST_ONCE, effect
from sagas.errors import PermanentFailure


@effect("mail.payment-requested", on=PaymentRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_request(event: PaymentRequested, meta: Meta) -> MailSent | None:
    """Tell the customer how to pay: that the order has arrived or, after a part of the money has, what is still due.
    Nobody is asked to pay for an order that has ended by then.
    """
    order = send_request.look_up(Order, event.order_id, meta)
    if order.status is not Status.PLACED:
        return None
    return order_mail.send(
        send_request,
        order,
        meta,
        "order_received" if event.payment_id == payment_id_of(order.id) else "payment_due",
        due=event.amount,
        how=_how_to_pay(event, order.number),
    )


@effect("mail.payment-reminder", on=OrderReminderRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_reminder(event: OrderReminderRequested, meta: Meta) -> MailSent:
    """Remind the customer of what is due, and until when."""
    order = send_reminder.look_up(Order, event.order_id, meta)
    return order_mail.send(send_reminder, order, meta, "payment_reminder", due=order.due)


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


@effect("mail.order-status", on=OrderStatusMailRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_status(event: OrderStatusMailRequested, meta: Meta) -> MailSent:
    """Tell the customer how the order stood when this was asked for."""
    order = send_status.look_up(Order, event.order_id, meta)
    return order_mail.send(send_status, order, meta, "order_status")


def _how_to_pay(event: PaymentRequested, number: str) -> Instructions:
    provider = registry.provider(event.provider)
    if provider is None:
        raise PermanentFailure(f"There is no provider by the name of {event.provider!r}.")
    return provider.start(event.payment_id, order_number=number, amount=event.amount)
