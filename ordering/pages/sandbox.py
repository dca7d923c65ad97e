"""The page of the sandbox: one plays the customer at the page of a provider, and what the provider would report.

It is there only where the sandbox is installed. Whoever has its address may play.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from eventstore import repository
from eventstore.context import new_id
from eventstore.errors import DomainError, StreamNotFound
from ordering.domain.finance import Account, account_id_of
from ordering.domain.order import Order, Status
from ordering.domain.payment import Payment
from ordering.domain.values import Money, in_decimals_of
from ordering.models import OrderSummary
from ordering.pages.links import SANDBOX_SALT, payment_of, sandbox_path
from ordering.pages.serving import WITH_FORMS, page
from ordering.providers import registry
from ordering.providers.provider import Outcome, RefundOutcome, RefundReport, Report
from ordering.providers.recording import record, record_refund
from ordering.providers.sandbox import NO_REFUND, SANDBOX

MOST = 12
"""Digits before the point."""


class Pay(forms.Form):
    """Money that comes; `number` is made with the page, so that what is sent twice is one payment."""

    number = forms.UUIDField()
    amount = forms.DecimalField(min_value=Decimal("0.0001"), max_digits=MOST + 4, decimal_places=4)
    no_refund = forms.BooleanField(required=False)

    def report(self, payment: Payment) -> Report:
        """Raises a `DomainError` for an amount that nobody can pay in this currency."""
        given = self.cleaned_data
        currency = payment.amount.currency
        amount = Money(in_decimals_of(currency, given["amount"]), currency)
        amount.check()
        prefix = NO_REFUND if given["no_refund"] else "SANDBOX"
        reference = f"{prefix}-{given['number'].hex[-12:].upper()}"
        return Report(
            id=str(given["number"]),
            outcome=Outcome.ACCEPTED,
            payment_id=payment.id,
            amount=amount,
            reference=reference,
        )


class Say(forms.Form):
    """That no money comes, or not yet."""

    number = forms.UUIDField()
    outcome = forms.ChoiceField(choices=[(each.value, each.value) for each in (Outcome.PENDING, Outcome.DECLINED)])

    def report(self, payment: Payment) -> Report:
        given = self.cleaned_data
        outcome = Outcome(given["outcome"])
        return Report(
            id=str(given["number"]),
            outcome=outcome,
            payment_id=payment.id,
            reference=f"SANDBOX-{given['number'].hex[-12:].upper()}" if outcome is Outcome.PENDING else "",
            reason="The payment was declined." if outcome is Outcome.DECLINED else "",
        )


class GiveBack(forms.Form):
    """Staff of the organizer give money back at the provider's own page."""

    number = forms.UUIDField()
    reference = forms.CharField(max_length=200)


@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def sandbox(request: HttpRequest, token: str) -> HttpResponse:
    """What can be played about a payment. What is sent is recorded, and the page shown again."""
    try:
        payment = repository.get(Payment, payment_of(token, SANDBOX_SALT))
    except (BadSignature, StreamNotFound):
        return page("not_found", 404)
    if registry.provider(SANDBOX) is None:
        return page("not_found", 404)
    refusal = ""
    if request.method == "POST":
        refusal = _play(request, payment)
        if not refusal:
            return HttpResponseRedirect(request.path, headers=WITH_FORMS)
    return page("sandbox", 409 if refusal else 200, request=request, refusal=refusal, **_shown(payment))


def _play(request: HttpRequest, payment: Payment) -> str:
    """Why it can't be, if it can't."""
    form = {"say": Say, "give-back": GiveBack}.get(request.POST.get("do", ""), Pay)(request.POST)
    if not form.is_valid():
        return "An amount is a number above nothing, such as 99.50."
    try:
        match form:
            case GiveBack():
                _give_back(form, payment)
            case Pay() | Say():
                record(SANDBOX, form.report(payment))
    except StreamNotFound:
        return "This money is not in the books yet. Look again in a moment."
    except DomainError as refused:
        return f"{refused} ({refused.code})"
    return ""


def _give_back(form: GiveBack, payment: Payment) -> None:
    """All that is left of it."""
    account, reference = _account(payment), form.cleaned_data["reference"]
    key = f"{SANDBOX}/{reference}"
    if key not in account.receipts:
        raise StreamNotFound
    record_refund(
        SANDBOX,
        RefundReport(
            id=str(form.cleaned_data["number"]),
            outcome=RefundOutcome.SETTLED,
            reference=f"SANDBOX-{form.cleaned_data['number'].hex[-12:].upper()}",
            payment_reference=reference,
            amount=account.left(key),
        ),
    )


def _shown(payment: Payment) -> dict[str, Any]:
    order = repository.get(Order, payment.order_id)
    account = _account(payment)
    row = OrderSummary.objects.filter(pk=order.id).first()
    owed = order.still_owes(account)
    asked = owed if order.awaits_payment and owed.amount > 0 else order.total
    return {
        "order": order,
        "payment": payment,
        "asked": asked,
        "ended": order.status in (Status.EXPIRED, Status.CANCELLED, Status.REFUSED),
        "half": asked.share(50),
        "more": asked + Money(Decimal(10), asked.currency),
        "number": new_id(),
        "received": [
            (receipt, account.left(key)) for key, receipt in account.receipts.items() if receipt.provider == SANDBOX
        ],
        "newest": _newest(payment.id, row),
    }


def _newest(payment_id: UUID, row: OrderSummary | None) -> str:
    """Where the payment is made that is waited for by now, if that is another one."""
    waits = row and row.due > 0 and row.payment_id not in (None, payment_id)
    return sandbox_path(row.payment_id) if row and waits and row.payment_id else ""


def _account(payment: Payment) -> Account:
    return repository.load(Account, account_id_of(payment.order_id))
