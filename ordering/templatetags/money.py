from decimal import Decimal

from django import template

from ordering.domain.values import in_decimals_of

register = template.Library()


@register.filter
def money(amount: Decimal | str | None, currency: str) -> str:
    """In the currency's own decimals, with its thousands told apart: 1,250 JPY, 79.00 EUR."""
    return f"{in_decimals_of(currency, Decimal(amount)):,f} {currency}" if amount is not None else "none"
