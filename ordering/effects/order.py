from eventstore.events import Meta
from ordering.domain.customer import Customer
from ordering.domain.mail import MailSent
from ordering.domain.order import Order, OrderConfirmed, OrderStatusMailRequested, OrderUnderpaid
from ordering.effects import mail
from sagas.effects.effect import AT_LEAST_ONCE, effect


@effect("mail.order-confirmation", on=OrderConfirmed, delivery=AT_LEAST_ONCE, retries=8)
def send_confirmation(event: OrderConfirmed, meta: Meta) -> MailSent:
    """Tell the customer that the seats are theirs. Whose they are is read from the log itself, never from a read
    model, and as it was when this was asked for: so a mail that is sent again is the same.
    """
    order = send_confirmation.look_up(Order, event.order_id, meta)
    customer = send_confirmation.look_up(Customer, order.customer_id, meta)
    mail.send(
        "order_confirmation",
        to=customer.email,
        message_id=send_confirmation.idempotency_key(meta),
        name=customer.name,
        order_id=order.id,
        number=order.number,
        lines=order.lines,
        total=order.total,
    )
    return mail.sent(send_confirmation, meta)


@effect("mail.order-status", on=OrderStatusMailRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_status(event: OrderStatusMailRequested, meta: Meta) -> MailSent:
    """Tell the customer how the order stood when this was asked for."""
    order = send_status.look_up(Order, event.order_id, meta)
    customer = send_status.look_up(Customer, event.customer_id, meta)
    mail.send(
        "order_status",
        to=customer.email,
        message_id=send_status.idempotency_key(meta),
        name=customer.name,
        number=order.number,
        status=order.status,
        lines=order.lines,
        total=order.total,
    )
    return mail.sent(send_status, meta)


@effect("mail.payment-due", on=OrderUnderpaid, delivery=AT_LEAST_ONCE, retries=8)
def send_due(event: OrderUnderpaid, meta: Meta) -> MailSent:
    """Tell the customer that money has come in, and what is still due."""
    order = send_due.look_up(Order, event.order_id, meta)
    customer = send_due.look_up(Customer, order.customer_id, meta)
    mail.send(
        "payment_due",
        to=customer.email,
        message_id=send_due.idempotency_key(meta),
        name=customer.name,
        number=order.number,
        total=order.total,
        due=event.due,
    )
    return mail.sent(send_due, meta)
