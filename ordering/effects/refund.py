from eventstore.events import Meta
from ordering.domain.finance import RefundAnswered, RefundRequested
from ordering.providers import registry
from ordering.providers.provider import RefundAnswer, RefundOutcome
from sagas.effects.effect import AT_LEAST_ONCE, effect


@effect("refund.ask-provider", on=RefundRequested, delivery=AT_LEAST_ONCE, retries=8)
def ask_provider(event: RefundRequested, meta: Meta) -> RefundAnswered:
    """Ask the provider to give money back. Each attempt at a refund has one key, however often it is delivered."""
    provider = registry.provider(event.provider)
    if provider is None:
        answer = RefundAnswer(
            outcome=RefundOutcome.FAILED, reason=f"There is no provider by the name of {event.provider!r}."
        )
    else:
        answer = provider.refund(event.reference, event.amount, key=ask_provider.idempotency_key(meta))
    return RefundAnswered(
        account_id=event.account_id,
        refund_id=event.refund_id,
        payment_id=event.payment_id,
        attempt=event.attempt,
        outcome=answer.outcome,
        refund_reference=answer.reference,
        reason=answer.reason,
    )
