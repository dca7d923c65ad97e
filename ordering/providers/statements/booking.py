"""What a bank statement says becomes money of orders: judged first, and then booked, each line once."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO, NamedTuple
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db.models import Q

from eventstore import context
from eventstore.aggregates import Command
from eventstore.commands import dispatch
from eventstore.errors import DomainError
from eventstore.models import CommandRecord, StoredEvent
from ordering.domain.payment import AcceptPayment, KeepUnmatched, PaymentAccepted, unmatched_payment_id
from ordering.domain.values import Money, in_decimals_of, order_numbers_in
from ordering.models import OrderSummary
from ordering.providers.recording import REPORTS
from ordering.providers.references import find_references, reference_of
from ordering.providers.statements.camt import read_camt
from ordering.providers.statements.delimited import read_csv
from ordering.providers.statements.line import StatementLine
from ordering.providers.statements.matching import (
    CloseReference,
    Exact,
    Expected,
    Match,
    OtherAmount,
    Several,
    match,
)

log = structlog.get_logger(__name__)

BANK_TRANSFER = "bank-transfer"
AT_ONCE = 1_000

NEAR = timedelta(days=14)
"""How far from the day of a line somebody may have recorded the same money by hand."""


class Verdict(StrEnum):
    """What a line is. `KNOWN` is booked already, `OUTGOING` and what a bank took back is not for us to book. Of what
    seems to be `RECORDED` by hand somebody has to say whether it is the same money.
    """

    MATCHED = "matched"
    OTHER_AMOUNT = "other amount"
    DOUBTFUL = "doubtful"
    RECORDED = "recorded"
    UNKNOWN = "unknown"
    KNOWN = "known"
    OUTGOING = "outgoing"
    REFUSED = "refused"


BOOKED = (Verdict.MATCHED, Verdict.OTHER_AMOUNT, Verdict.DOUBTFUL)
"""Verdicts of lines that are booked in any case: to their orders, or where they are doubtful as unmatched."""


class ByHand(NamedTuple):
    """A transfer that somebody has recorded by hand: under which reference of which payment, when, and who."""

    payment_id: UUID
    reference: str
    recorded_at: datetime
    actor: str


class Judged(NamedTuple):
    """A line, what it is, the orders that it may be for, and what was recorded by hand that may be the same money.
    `otherwise` is what the line is if that is other money. `why` is a sentence that says why staff are asked; empty
    where they aren't, or where `by_hand` says it.
    """

    line: StatementLine
    verdict: Verdict
    payment_id: UUID | None
    orders: Sequence[OrderSummary]
    by_hand: ByHand | None = None
    otherwise: Verdict | None = None
    why: str = ""


def read(file: BinaryIO, options: Mapping[str, Any]) -> Iterator[StatementLine]:
    """The lines of a file: CAMT.053 if it is XML, else CSV by the options of `read_csv`. Raises `StatementRefused`."""
    start = file.read(200)
    file.seek(0)
    text = start.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    return read_camt(file) if text.lstrip().startswith("<") else read_csv(file, **options)


def judge(lines: Iterable[StatementLine]) -> list[Judged]:
    """What each line is, in their order."""
    orders = _orders()
    expected = [_expected(payment_id, order) for payment_id, order in orders.items()]
    matches = list(match(lines, expected))
    known = _known([each.line for each in matches])
    judged = [_judged(each, orders, each.line.id in known) for each in matches]
    return list(_compared(_paid_otherwise(judged)))


def book(
    judged: Iterable[Judged], *, actor: str, keep_unknown: bool = False, same: Mapping[str, bool] | None = None
) -> Counter[Verdict]:
    """Book the lines, and count what became of them. `same` says, by the id of a line that seems to be recorded by
    hand, whether it is the same money: then it is known from now on, and else it is booked. Without an answer it is
    left out, and asked about again. So is a line of which the same is said as of another before: one transfer is in one
    line.

    Those that name a payment are credited to its order, by the rules for any payment; doubtful ones are kept as
    unmatched payments for staff to assign, and so are unknown ones, if that is wanted. Each line is a command of its
    own with an id of its own: whoever is interrupted feeds the same statement again.
    """
    answered = (_answered(each, (same or {}).get(each.line.id)) for each in judged)
    return Counter(each.verdict for each in (_booked(each, actor, keep_unknown) for each in answered))


def _answered(judged: Judged, same: bool | None) -> Judged:
    if judged.by_hand is None or same is None:
        return judged
    if same:
        return judged._replace(payment_id=judged.by_hand.payment_id, verdict=Verdict.MATCHED)
    return judged._replace(verdict=judged.otherwise or judged.verdict, by_hand=None)


def _booked(judged: Judged, actor: str, keep_unknown: bool) -> Judged:
    if judged.verdict not in BOOKED and not (keep_unknown and judged.verdict is Verdict.UNKNOWN):
        return judged
    if judged.by_hand and _is_told(judged.by_hand):
        return judged._replace(verdict=Verdict.RECORDED)
    try:
        with context.acting(actor=actor):
            receipt = dispatch(_command(judged), command_id=command_id_of(judged.line))
            if judged.by_hand:
                dispatch(_command(judged), command_id=_command_id(judged.by_hand.reference))
    except DomainError as refused:
        log.warning("statement_line_refused", line=judged.line.number, code=refused.code)
        return judged._replace(verdict=Verdict.REFUSED)
    return judged._replace(verdict=Verdict.KNOWN) if receipt.repeated or not receipt.recorded else judged


def _is_told(by_hand: ByHand) -> bool:
    """Whether a line of a statement is this transfer already: no other is the same money."""
    return CommandRecord.objects.filter(pk=_command_id(by_hand.reference)).exists()


def command_id_of(line: StatementLine) -> UUID:
    """The same whenever the line is booked, whatever it is taken for then."""
    return _command_id(line.id)


def _command_id(line_id: str) -> UUID:
    return uuid5(REPORTS, f"{BANK_TRANSFER}/{line_id}")


def _command(judged: Judged) -> Command:
    line = judged.line
    amount = Money(in_decimals_of(line.amount.currency, line.amount.amount), line.amount.currency)
    if judged.payment_id is not None:
        reference = judged.by_hand.reference if judged.by_hand else line.id
        return AcceptPayment(payment_id=judged.payment_id, amount=amount, reference=reference, provider=BANK_TRANSFER)
    payment_id = unmatched_payment_id(BANK_TRANSFER, line.id)
    return KeepUnmatched(payment_id=payment_id, provider=BANK_TRANSFER, reference=line.id, amount=amount)


def _judged(found: Match, orders: Mapping[UUID, OrderSummary], known: bool) -> Judged:
    line = found.line
    if line.reversal or line.amount.amount <= 0:
        return Judged(line, Verdict.OUTGOING, None, ())
    payment_id: UUID | None = None
    payments: Sequence[Expected] = ()
    why = ""
    match found:
        case Exact(payment=payment):
            verdict, payment_id, payments = Verdict.MATCHED, payment.payment_id, (payment,)
        case OtherAmount(payment=payment):
            verdict, payment_id, payments = Verdict.OTHER_AMOUNT, payment.payment_id, (payment,)
        case CloseReference(payment=payment):
            verdict, payments, why = Verdict.DOUBTFUL, (payment,), "The reference is nearly that of a payment."
        case Several(payments=several):
            verdict, payments, why = Verdict.DOUBTFUL, several, "It may be for several payments."
        case _:
            verdict = Verdict.UNKNOWN
    of_them = list({orders[each.payment_id].pk: orders[each.payment_id] for each in payments}.values())
    if known:
        return Judged(line, Verdict.KNOWN, payment_id, of_them)
    return Judged(line, verdict, payment_id, of_them, why=why)


def _paid_otherwise(judged: Sequence[Judged]) -> list[Judged]:
    """What names no payment by transfer is doubtful where it names an order that is paid by another provider, by the
    reference of a payment or by its number: whether that was to be paid by transfer is for staff to say.
    """
    named = {
        each.line.id: {*find_references(each.line.remittance), *order_numbers_in(each.line.remittance)}
        for each in judged
        if each.verdict is Verdict.UNKNOWN
    }
    wanted = set().union(*named.values())
    found: dict[str, list[OrderSummary]] = defaultdict(list)
    for order in _rows(~_by_transfer()) if wanted else ():
        for name in {order.number, *(reference_of(UUID(each["id"])) for each in order.payments)} & wanted:
            found[name].append(order)
    return [_doubted(each, named.get(each.line.id, ()), found) for each in judged]


def _doubted(judged: Judged, names: Iterable[str], found: Mapping[str, list[OrderSummary]]) -> Judged:
    orders = list({order.pk: order for name in sorted(names) for order in found.get(name, ())}.values())
    if not orders:
        return judged
    providers = sorted({(order.provider or settings.PAYMENT_PROVIDER).replace("-", " ") for order in orders})
    why = f"The order is paid by {' and '.join(providers)}."
    return judged._replace(verdict=Verdict.DOUBTFUL, orders=orders, why=why)


def _compared(judged: Sequence[Judged]) -> Iterator[Judged]:
    """What is booked in any case is asked about where somebody recorded as much for its order about that day."""
    near = [
        (each, order, payment)
        for each in judged
        if each.verdict in BOOKED
        for order in each.orders
        for payment in order.payments
        if _is_near(each.line, payment)
    ]
    recorded = _recorded_by_hand({(UUID(payment["id"]), payment["reference"]) for _, _, payment in near})
    found = {
        each.line.id: (order, recorded[key])
        for each, order, payment in reversed(near)
        if (key := (UUID(payment["id"]), payment["reference"])) in recorded
    }
    for each in judged:
        if each.line.id in found:
            order, by_hand = found[each.line.id]
            yield each._replace(verdict=Verdict.RECORDED, otherwise=each.verdict, by_hand=by_hand, orders=[order])
        else:
            yield each


def _is_near(line: StatementLine, payment: Mapping[str, Any]) -> bool:
    """Whether a payment of an order has the amount of a line, and came about the day of it."""
    if not payment["reference"] or not payment["received_at"]:
        return False
    if Money(Decimal(payment["amount"]), payment["currency"]) != line.amount:
        return False
    return abs(datetime.fromisoformat(payment["received_at"]).date() - line.booked_on) <= NEAR


def _recorded_by_hand(payments: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], ByHand]:
    """Those of these payments that came by bank transfer, and that no line of a statement told."""
    told = StoredEvent.objects.filter(
        type=PaymentAccepted.stored,
        stream_id__in={payment_id for payment_id, _ in payments},
        data__provider=BANK_TRANSFER,
    )
    found = {
        (each.stream_id, each.data["reference"]): ByHand(
            each.stream_id, each.data["reference"], each.recorded_at, each.actor
        )
        for each in told
    }
    ids = {key: _command_id(key[1]) for key in found}
    lines = set(CommandRecord.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    return {key: by_hand for key, by_hand in found.items() if key in payments and ids[key] not in lines}


def _orders() -> dict[UUID, OrderSummary]:
    """By their payments: the orders whose customers were told of a transfer, and all that wait for their payment, since
    these may have been told of one before they took another provider.
    """
    rows = _rows(_by_transfer() | Q(due__gt=0))
    return {UUID(each["id"]): row for row in rows for each in row.payments}


def _by_transfer() -> Q:
    return Q(provider__in=[BANK_TRANSFER, *([""] if settings.PAYMENT_PROVIDER == BANK_TRANSFER else [])])


def _rows(wanted: Q) -> Iterator[OrderSummary]:
    rows = OrderSummary.objects.filter(wanted)
    return rows.only("number", "status", "payments", "due", "currency", "total", "provider").iterator(AT_ONCE)


def _expected(payment_id: UUID, order: OrderSummary) -> Expected:
    amount = order.due or order.total
    return Expected(payment_id, reference_of(payment_id), Money(in_decimals_of(order.currency, amount), order.currency))


def _known(lines: Sequence[StatementLine]) -> set[str]:
    """The ids of those that are booked."""
    found: set[str] = set()
    for start in range(0, len(lines), AT_ONCE):
        ids = {command_id_of(line): line.id for line in lines[start : start + AT_ONCE]}
        booked = CommandRecord.objects.filter(pk__in=ids).values_list("pk", flat=True)
        found.update(ids[command_id] for command_id in booked)
    return found


def counted(judged: Iterable[Judged]) -> dict[Verdict, tuple[int, list[Money]]]:
    """How many lines there are of each verdict, and what they come to in each currency."""
    lines: dict[Verdict, list[Money]] = {verdict: [] for verdict in Verdict}
    for each in judged:
        lines[each.verdict].append(each.line.amount)
    return {verdict: (len(amounts), _sums(amounts)) for verdict, amounts in lines.items() if amounts}


def _sums(amounts: Iterable[Money]) -> list[Money]:
    sums: dict[str, Money] = {}
    for amount in amounts:
        sums[amount.currency] = sums[amount.currency] + amount if amount.currency in sums else amount
    return list(sums.values())
