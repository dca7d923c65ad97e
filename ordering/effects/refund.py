from eventstore.events import Meta
from ordering.domain.finance import RefundAnswered, RefundRequested, RefundReversed, RefundSettled
from ordering.domain.mail import MailSent
from ordering.domain.order import Order
from ordering.effects import order_mail
from ordering.providers import registry
from ordering.providers.by_hand import BY_HAND, TO_PAY_BACK
from ordering.providers.provider import RefundAnswer, RefundOutcome
from sagas.effects.effect import AT_LEAST_ONCE, effect


@effect("refund.ask-provider", on=RefundRequested, delivery=AT_LEAST_ONCE, retries=8)
def ask_provider(event: RefundRequested, meta: Meta) -> RefundAnswered | None:
    """Ask the provider to give money back. Each attempt at a refund has one key, however often it is delivered. Nobody
    is asked for what was made there already.

    Where there is nobody to ask it fails at once, so staff find it among the failed refunds.
    """
    if event.made_there:
        return None
    provider = registry.provider(event.provider)
    if provider is not None:
        answer = provider.refund(event.reference, event.amount, key=ask_provider.idempotency_key(meta))
    elif event.provider in BY_HAND:
        answer = TO_PAY_BACK
    else:
        answer = RefundAnswer(
            outcome=RefundOutcome.FAILED, reason=f"There is no provider by the name of {event.provider!r}."
        )
    return RefundAnswered(
        account_id=event.account_id,
        refund_id=event.refund_id,
        payment_id=event.payment_id,
        attempt=event.attempt,
        outcome=answer.outcome,
        refund_reference=answer.reference,
        reason=answer.reason,
    )


@effect("mail.refund-requested", on=RefundRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_refund_request(event: RefundRequested, meta: Meta) -> MailSent | None:
    """Tell the customer that money is on its way back: once, however often the provider has to be asked. Of money that
    nobody knows there is nobody to tell, and what was made at the provider is there.
    """
    if event.order_id is None or event.attempt > 1 or event.made_there:
        return None
    order = send_refund_request.look_up(Order, event.order_id, meta)
    return order_mail.send(send_refund_request, order, meta, "refund_requested", amount=event.amount)


@effect("mail.refund-made", on=RefundSettled, delivery=AT_LEAST_ONCE, retries=8)
def send_refund_made(event: RefundSettled, meta: Meta) -> MailSent | None:
    """Tell the customer that money has gone back."""
    if event.order_id is None:
        return None
    order = send_refund_made.look_up(Order, event.order_id, meta)
    return order_mail.send(send_refund_made, order, meta, "refund_made", amount=event.amount)


@effect("mail.refund-reversed", on=RefundReversed, delivery=AT_LEAST_ONCE, retries=8)
def send_refund_reversed(event: RefundReversed, meta: Meta) -> MailSent | None:
    """Tell the customer that money which was said to have gone back didn't arrive."""
    if event.order_id is None:
        return None
    order = send_refund_reversed.look_up(Order, event.order_id, meta)
    return order_mail.send(send_refund_reversed, order, meta, "refund_reversed", amount=event.amount)
