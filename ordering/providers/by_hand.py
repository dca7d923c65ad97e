"""Money that comes and goes by the hands of staff: no provider gives it back."""

from ordering.providers.provider import RefundAnswer, RefundOutcome

BY_HAND = {"bank-transfer": "Bank transfer", "by-hand": "Otherwise, such as in cash"}
"""By which providers money comes that staff say has come."""

TO_PAY_BACK = RefundAnswer(
    outcome=RefundOutcome.FAILED,
    reason="No provider gives this money back. Pay it back by hand, and mark the refund as made.",
)
