"""What staff do about an order and its money, each a form that becomes a command. They check the shape; the rules are
the aggregates'.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone

from eventstore import repository
from eventstore.aggregates import Command
from eventstore.errors import DomainError
from ordering import conf
from ordering.admin.acts import REASON, Act, StreamAct, as_id
from ordering.admin.formatting import in_zone
from ordering.admin.schedule import MomentField, PriceField
from ordering.admin.words import seats, shown, via
from ordering.domain.conference import ConferenceSeats
from ordering.domain.finance import (
    Account,
    MarkRefundMade,
    RefundStatus,
    RequestRefund,
    RetryRefund,
    ReturnEverything,
    account_id_of,
)
from ordering.domain.order import (
    CancelOrder,
    ExtendOrder,
    Order,
    ReopenOrder,
    RequestStatusMail,
    Status,
    cancellation_fee,
)
from ordering.domain.order_changes import ChangeQuantities
from ordering.domain.payment import AcceptPayment, AssignPayment, Payment
from ordering.domain.seats import Line, total
from ordering.domain.unmatched_payment import UnmatchedPayment
from ordering.domain.values import Money, payment_id_of
from ordering.models import FailedRefund, OrderSummary
from ordering.providers import inquiries, registry
from ordering.providers.by_hand import BY_HAND

EXTEND_ORDER = "ordering.extend_order"
RECORD_PAYMENT = "ordering.record_payment"
REFUND_PAYMENT = "ordering.refund_payment"
ASSIGN_PAYMENT = "ordering.assign_payment"

AMOUNT = {"refund-too-high": "amount", "too-many-decimals": "amount", "amount-too-large": "amount"}


class OrderAct(StreamAct):
    """An act about the order itself."""

    kind = Order

    @classmethod
    def stream_id(cls, row: OrderSummary) -> UUID:
        return row.pk

    def find(self) -> None:
        super().find()
        self.conference = repository.load(ConferenceSeats, self.aggregate.conference_id)

    @property
    def zone(self) -> str:
        return self.conference.time_zone

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Order", f"{seats(self.aggregate.lines)}, {self.aggregate.status}"
        yield "Costs", shown(self.aggregate.total)
        if change := self.aggregate.owed:
            yield "Owes for a change", f"{shown(self.aggregate.due)} to have {seats(change.lines)}"
        yield "Received", shown(self.aggregate.received + self.aggregate.before_finance)


class Cancel(OrderAct):
    verb, done = "Cancel the order", "The order is cancelled."
    warning = "Its seats are given back, and so is its money, but for what is kept."
    permission = "ordering.cancel_order"
    blamed = {"fee-too-high": "keep", "too-many-decimals": "keep"}

    keep = PriceField(
        label="Kept of its money", help_text="What the conference's rule says for customers, unless you change it."
    )
    reason = forms.CharField(max_length=500, help_text=REASON)
    agreed = forms.DecimalField(widget=forms.HiddenInput)

    @classmethod
    def fits(cls, about: Order, key: str) -> bool:
        return about.status in (Status.PLACED, Status.CONFIRMED)

    def find(self) -> None:
        super().find()
        order, rule = self.aggregate, self.conference.cancellation_of_orders()
        self.held = order.still_held(repository.load(Account, account_id_of(order.id)))
        self.kept = (
            cancellation_fee(rule, order.lines, self.held) if order.status is Status.CONFIRMED else order.total * 0
        )

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield from super().facts()
        yield "Holds", shown(self.held)
        yield "Is kept", shown(self.kept)
        yield "Goes back", shown(self.held - self.kept)

    def known(self) -> Mapping[str, Any]:
        return {"keep": self.kept.amount, "agreed": self.kept.amount}

    def clean(self) -> dict[str, Any]:
        """Whoever keeps another sum than the page said is told first what goes back then."""
        given = self.cleaned_data
        keep, held = given.get("keep"), self.held
        if keep is None or held.amount < keep:
            return given
        self.kept = Money(keep, held.currency)
        if keep != given.get("agreed"):
            self.data = dict(self.data.items()) | {"agreed": str(keep)}
            kept, back = shown(self.kept), shown(held - self.kept)
            raise forms.ValidationError(
                f"Then {kept} of it is kept, and {back} goes back. Press again if that is meant."
            )
        return given

    def command(self) -> Command:
        given = self.cleaned_data
        keep = Money(given["keep"], self.aggregate.total.currency)
        return CancelOrder(order_id=self.row.pk, reason=given["reason"], keep=keep)


class Extend(OrderAct):
    verb, done = "Extend", "The order has another time until which it is to be paid."
    permission = EXTEND_ORDER
    blamed = {"deadline-passed": "expires_at", "reason-needed": "reason"}

    expires_at = MomentField(label="To be paid until", help_text="In the time zone of the conference.")
    reason = forms.CharField(max_length=500, help_text=REASON)

    @classmethod
    def fits(cls, about: Order, key: str) -> bool:
        return about.awaits_payment

    def known(self) -> Mapping[str, Any]:
        promised: datetime = self.aggregate.promised_until
        return {"expires_at": promised.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield from super().facts()
        yield "To be paid until", in_zone(self.aggregate.expires_at, self.zone)

    def command(self) -> Command:
        given = self.cleaned_data
        return ExtendOrder(order_id=self.row.pk, expires_at=given["expires_at"], reason=given["reason"])


class Quantities(OrderAct):
    """A field for each seat type of the conference. What comes of it is said before it is sent: `agreed` is the total
    that whoever sends it has been shown.
    """

    verb, button, done = "Change the quantities", "Change", "The order changes as soon as the conference has the seats."
    warning = (
        "Seats that are given up are free at once. If a confirmed order comes to cost more, the difference is to be "
        "paid first: it keeps its seats until then."
    )
    permission = "ordering.change_quantities"
    blamed = {"reason-needed": "reason"}

    reason = forms.CharField(max_length=500, help_text=REASON)
    agreed = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, row: OrderSummary, key: str = "", data: QueryDict | None = None) -> None:
        super().__init__(row, key, data)
        had = {line.seat_type: line for line in self.aggregate.asked_for}
        prices = self.aggregate.prices
        for code, known in self.conference.seat_types.items():
            price = prices.get(code, known.price)
            self.fields[f"seats-{code}"] = forms.IntegerField(
                label=known.name,
                min_value=0,
                max_value=1000,
                initial=had[code].quantity if code in had else 0,
                help_text=f"{shown(price)} each, {self.conference.available(code):,} free.",
            )
        self.order_fields([*(f"seats-{code}" for code in self.conference.seat_types), "reason"])

    @classmethod
    def fits(cls, about: Order, key: str) -> bool:
        return about.status in (Status.PLACED, Status.CONFIRMED) and not about.wanted

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return given
        try:
            priced = self.aggregate.instead(self.conference, self._lines(), timezone.now())
        except DomainError as refusal:
            raise forms.ValidationError(f"{refusal} ({refusal.code})", code=refusal.code) from None
        cost = shown(total(priced))
        if given["agreed"] != cost:
            self.data = {**dict(self.data.items()), "agreed": cost}
            raise forms.ValidationError(f"{self._consequence(total(priced))} Send it again to do so.", code="agree")
        return given

    def command(self) -> Command:
        return ChangeQuantities(order_id=self.row.pk, lines=self._lines(), reason=self.cleaned_data["reason"])

    def _lines(self) -> tuple[Line, ...]:
        quantities = ((code, self.cleaned_data[f"seats-{code}"]) for code in self.conference.seat_types)
        return tuple(Line(code, quantity) for code, quantity in quantities if quantity)

    def _consequence(self, cost: Money) -> str:
        order, said = self.aggregate, f"The order will cost {shown(cost)}"
        held = order.still_held(repository.load(Account, account_id_of(order.id)))
        excess = held - cost
        if order.status is Status.CONFIRMED:
            if order.total < cost:
                more, owed = cost - order.total, cost - max(order.total, held)
                if owed.amount <= 0:
                    return f"{said}, which is {shown(more)} more than now: all of it is there."
                return f"{said} once {shown(owed)} are paid, which is {shown(more)} more than now."
            back = max(min(order.total - cost, excess), cost * 0)
            return f"{said}: {shown(back)} go back."
        return (
            f"{said}: {shown(excess * -1)} will be owed." if excess.amount <= 0 else f"{said}: {shown(excess)} go back."
        )


class Reopen(OrderAct):
    verb, done = "Reopen", "The order waits for its seats and its payment again."
    warning = "It keeps its prices. It is refused again where its seats are gone."
    permission = EXTEND_ORDER
    blamed = {"deadline-passed": "expires_at", "reason-needed": "reason"}

    expires_at = MomentField(
        label="To be paid until",
        required=False,
        help_text="In the time zone of the conference. Empty: as its payment terms say.",
    )
    reason = forms.CharField(max_length=500, help_text=REASON)

    @classmethod
    def fits(cls, about: Order, key: str) -> bool:
        return about.status in (Status.REFUSED, Status.EXPIRED, Status.CANCELLED)

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield from super().facts()
        for line in self.aggregate.lines:
            yield f"{line.seat_type} left", f"{self.conference.available(line.seat_type):,}"

    def command(self) -> Command:
        given = self.cleaned_data
        return ReopenOrder(order_id=self.row.pk, reason=given["reason"], expires_at=given["expires_at"])


class StatusMail(OrderAct):
    verb, done = "Send a status mail", "A mail about the order is on its way to the customer."
    warning = "The customer gets a mail that says how this order stands. The order's history keeps who asked."
    permission = "ordering.request_status_mail"

    @classmethod
    def fits(cls, about: Order, key: str) -> bool:
        return True

    def command(self) -> Command:
        return RequestStatusMail(order_id=self.row.pk, pause=conf.status_mail_pause())


class RecordPayment(StreamAct):
    verb, done = "Record a payment", "The payment is recorded."
    warning = (
        "It counts like what a provider reports. The order is confirmed once all is there; what is too much goes back, "
        "and so does what comes for an order that has ended."
    )
    permission = RECORD_PAYMENT
    kind = Payment
    blamed = AMOUNT | {"payment-reference-taken": "reference", "payment-reference-differs": "reference"}

    amount = PriceField()
    provider = forms.ChoiceField(label="How it came", choices=list(BY_HAND.items()))
    reference = forms.CharField(max_length=200, help_text="As the statement or receipt has it, once for each.")

    @classmethod
    def stream_id(cls, row: OrderSummary) -> UUID:
        return payment_id_of(row.pk)

    @classmethod
    def fits(cls, about: Payment, key: str) -> bool:
        return about.exists

    def find(self) -> None:
        super().find()
        self.order = repository.load(Order, self.row.pk)
        self.owed = still_owed(self.order)

    def known(self) -> Mapping[str, Any]:
        return {"amount": self.owed.amount} if self.owed.amount > 0 else {}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Order", f"{seats(self.order.lines)}, {self.order.status}"
        yield "Costs", shown(self.order.total)
        yield balance(self.owed)

    def command(self) -> Command:
        given = self.cleaned_data
        amount = Money(given["amount"], self.order.total.currency)
        amount.check()
        return AcceptPayment(
            payment_id=self.aggregate.id,
            amount=amount,
            reference=given["reference"],
            provider=given["provider"],
        )


class AskProvider(OrderAct):
    """Not a command: what the provider says becomes some."""

    verb, done = "Ask the provider", "The provider was asked, and what it says is recorded."
    warning = "The provider is asked what has become of the payments of this order. Nothing is charged."
    permission = RECORD_PAYMENT

    @classmethod
    def fits(cls, about: Order, key: str) -> bool:
        provider = registry.provider(about.provider or settings.PAYMENT_PROVIDER)
        return about.exists and provider is not None and provider.remote

    def ask(self) -> int:
        """How many events were recorded. Raises `ProviderUnavailable`."""
        return inquiries.ask(dict.fromkeys(UUID(each["id"]) for each in self.row.payments))


class AccountAct(StreamAct):
    """An act about the money of an order, or of nobody."""

    kind = Account
    permission = REFUND_PAYMENT

    @classmethod
    def stream_id(cls, row: Any) -> UUID:
        return row.account_id if isinstance(row, FailedRefund) else account_id_of(row.pk)


class Refund(AccountAct):
    """The key says which receipt of the account it is of, counted from 1."""

    verb, done = "Refund", "The refund is asked for."
    warning = "The provider is asked to give it back. The order stays as it is."
    blamed = AMOUNT

    amount = PriceField(help_text="All that is left of it, or a part.")
    reason = forms.CharField(max_length=500, help_text=REASON)

    @classmethod
    def fits(cls, about: Account, key: str) -> bool:
        return key.isdecimal() and about.left(receipt_of(about, key)).amount > 0

    def find(self) -> None:
        super().find()
        self.receipt = self.aggregate.receipts[receipt_of(self.aggregate, self.key)]
        self.left: Money = self.aggregate.left(receipt_of(self.aggregate, self.key))

    def known(self) -> Mapping[str, Any]:
        return {"amount": self.left.amount}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Received", f"{shown(self.receipt.amount)} by {via(self.receipt.provider)}, {self.receipt.reference}"
        yield "Left of it", shown(self.left)
        for refund in self.aggregate.refunds.values():
            if refund.receipt == receipt_of(self.aggregate, self.key) and refund.status is RefundStatus.FAILED:
                yield "Failed, and waits", f"{shown(refund.amount)}: {refund.reason}"
        if self.receipt.provider in BY_HAND:
            yield "Goes back", "by hand: no provider can be asked"

    def command(self) -> Command:
        amount = Money(self.cleaned_data["amount"], self.left.currency)
        amount.check()
        return RequestRefund(
            account_id=self.aggregate.id,
            provider=self.receipt.provider,
            reference=self.receipt.reference,
            amount=amount,
            reason=self.cleaned_data["reason"],
        )


class RefundAct(AccountAct):
    """About a refund: the key is its id."""

    def find(self) -> None:
        super().find()
        self.refund = self.aggregate.refunds[as_id(self.key)]

    def facts(self) -> Iterable[tuple[str, Any]]:
        receipt = self.aggregate.receipts[self.refund.receipt]
        yield "Amount", shown(self.refund.amount)
        yield "Received", f"by {via(receipt.provider)}, {receipt.reference}"
        yield "Reason", self.refund.reason
        yield "State", f"{self.refund.status}, asked for {self.refund.attempt} time{'s' * (self.refund.attempt != 1)}"


class TryAgain(RefundAct):
    """There is nobody to ask for what staff pay back by hand."""

    verb, button, done = "Try the refund again", "Try again", "The provider is asked once more."
    warning = "The provider is asked once more to give the money back."

    @classmethod
    def fits(cls, about: Account, key: str) -> bool:
        if status_of(about, key) is not RefundStatus.FAILED:
            return False
        return about.receipts[about.refunds[as_id(key)].receipt].provider not in BY_HAND

    def command(self) -> Command:
        return RetryRefund(account_id=self.aggregate.id, refund_id=as_id(self.key))


class MadeByHand(RefundAct):
    verb, button, done = "Mark the refund as made", "Made by hand", "The refund counts as made."
    warning = "Only where the money has gone back in another way: nobody is asked for it any more."

    refund_reference = forms.CharField(
        label="How it went back", max_length=200, help_text="Such as the reference of the transfer."
    )

    @classmethod
    def fits(cls, about: Account, key: str) -> bool:
        return status_of(about, key) in (RefundStatus.FAILED, RefundStatus.REQUESTED)

    def command(self) -> Command:
        given = self.cleaned_data["refund_reference"]
        return MarkRefundMade(account_id=self.aggregate.id, refund_id=as_id(self.key), refund_reference=given)


class SendBack(AccountAct):
    """Of money that nobody knows."""

    verb, done = "Send it back", "The money is on its way back."
    warning = "The provider is asked to give back all that is left of it."
    permission = ASSIGN_PAYMENT

    reason = forms.CharField(max_length=500, help_text=REASON)

    @classmethod
    def fits(cls, about: Account, key: str) -> bool:
        return not key and bool(leftovers(about))

    def facts(self) -> Iterable[tuple[str, Any]]:
        for receipt in leftovers(self.aggregate):
            yield "Goes back", f"{shown(self.aggregate.left(receipt))} of {self.aggregate.receipts[receipt].reference}"

    def command(self) -> Command:
        return ReturnEverything(account_id=self.aggregate.id, reason=self.cleaned_data["reason"])


class Assign(StreamAct):
    """Of money that nobody knows: the key is the id of the order that it is for."""

    verb, done = "Assign", "The money is on its way to the order."
    warning = "It counts like a payment of this order, whatever has become of the order meanwhile."
    permission = ASSIGN_PAYMENT
    kind = UnmatchedPayment

    @classmethod
    def stream_id(cls, row: Any) -> UUID:
        return row.payment_id

    @classmethod
    def fits(cls, about: UnmatchedPayment, key: str) -> bool:
        return bool(key) and about.exists and about.order_id is None

    def find(self) -> None:
        super().find()
        self.order = repository.load(Order, as_id(self.key))
        if not self.order.exists:
            raise KeyError(self.key)

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Money", f"{shown(self.aggregate.amount)} by {via(self.aggregate.provider)}, {self.aggregate.reference}"
        yield "Order", f"{self.order.number}: {seats(self.order.lines)}, {self.order.status}"
        yield "Costs", shown(self.order.total)
        yield balance(still_owed(self.order))

    def command(self) -> Command:
        return AssignPayment(payment_id=self.row.payment_id, order_id=self.order.id)


ACTS: Mapping[str, type[Act]] = {
    "record-payment": RecordPayment,
    "ask-provider": AskProvider,
    "extend": Extend,
    "quantities": Quantities,
    "reopen": Reopen,
    "cancel": Cancel,
    "status-mail": StatusMail,
    "refund": Refund,
    "retry-refund": TryAgain,
    "mark-refund-made": MadeByHand,
}
"""About an order, by the word in their addresses."""

OF_UNMATCHED: Mapping[str, type[Act]] = {"assign": Assign, "send-back": SendBack}
OF_FAILED: Mapping[str, type[Act]] = {"retry-refund": TryAgain, "mark-refund-made": MadeByHand}


def still_owed(order: Order) -> Money:
    """What it owes, without money that is on its way back; negative if there is too much."""
    return order.still_owes(repository.load(Account, account_id_of(order.id)))


def balance(owed: Money) -> tuple[str, str]:
    return ("Still owes", shown(owed)) if owed.amount >= 0 else ("Holds too much", shown(owed * -1))


def leftovers(account: Account) -> list[str]:
    """The receipts of which something could still go back."""
    return [key for key in account.receipts if account.left(key).amount > 0]


def receipt_of(account: Account, number: str) -> str:
    """Raises KeyError where there are not so many."""
    keys = list(account.receipts)
    if not (number.isdecimal() and 0 < int(number) <= len(keys)):
        raise KeyError(number)
    return keys[int(number) - 1]


def status_of(account: Account, refund_id: str) -> RefundStatus | None:
    refund = account.refunds.get(as_id(refund_id))
    return refund.status if refund else None
