"""Money that nobody knows, until somebody assigns it to an order."""

from uuid import UUID

from eventstore.aggregates import Aggregate, Facts, handles, on
from eventstore.errors import StreamNotFound
from ordering.domain.errors import (
    MixedCurrencies,
    OrderNotFound,
    PaymentAlreadyAssigned,
    PaymentReferenceDiffers,
)
from ordering.domain.order import Order
from ordering.domain.payment import (
    AssignPayment,
    KeepUnmatched,
    PaymentAssigned,
    PaymentUnmatched,
    claim_reference,
    held_reference,
)
from ordering.domain.values import Money


class UnmatchedPayment(Aggregate, category="unmatched-payment"):
    """Money that a provider has received for nothing that is known here, until somebody assigns it to an order."""

    provider: str
    reference: str
    amount: Money
    order_id: UUID | None

    @handles(KeepUnmatched, creates=None)
    def keep(self, command: KeepUnmatched, facts: Facts) -> None:
        if self.exists:
            if self.amount != command.amount:
                raise PaymentReferenceDiffers
            return
        claim_reference(self, command.provider, command.reference)
        self.record(
            PaymentUnmatched(
                payment_id=self.id, provider=command.provider, reference=command.reference, amount=command.amount
            )
        )

    @handles(AssignPayment)
    def assign(self, command: AssignPayment, facts: Facts) -> None:
        if self.order_id is not None:
            raise PaymentAlreadyAssigned
        try:
            order = facts.look_up(Order, command.order_id)
        except StreamNotFound:
            raise OrderNotFound from None
        if order.total.currency != self.amount.currency:
            raise MixedCurrencies
        self.record(
            PaymentAssigned(
                payment_id=self.id,
                order_id=command.order_id,
                provider=self.provider,
                reference=self.reference,
                amount=self.amount,
            )
        )

    def held_values(self) -> list[tuple[str, str]]:
        return [held_reference(self.provider, self.reference)]

    @on(PaymentUnmatched)
    def _unmatched(self, event: PaymentUnmatched) -> None:
        self.provider, self.reference, self.amount = event.provider, event.reference, event.amount
        self.order_id = None

    @on(PaymentAssigned)
    def _assigned(self, event: PaymentAssigned) -> None:
        self.order_id = event.order_id
