"""Every rule by which the business refuses a command, one class a reason; see `eventstore.errors` for how they read."""

from eventstore.errors import DomainError


class MixedCurrencies(DomainError):
    """Amounts of different currencies don't mix."""

    code = "mixed-currencies"


class UnknownCurrency(DomainError):
    """This is no currency of ISO 4217 that one pays with."""

    code = "unknown-currency"


class TooManyDecimals(DomainError):
    """This amount has more decimals than its currency."""

    code = "too-many-decimals"


class AmountTooLarge(DomainError):
    """An amount has at most twelve digits before its decimals."""

    code = "amount-too-large"


class UnreadableText(DomainError):
    """There is a control character in it."""

    code = "unreadable-text"


class InvalidEmail(DomainError):
    """This is no email address that mail can be sent to."""

    code = "invalid-email"


class EmailTaken(DomainError):
    """Another customer has this email address."""

    code = "email-taken"


class EmailOutdated(DomainError):
    """This is not the customer's email address, or not any more."""

    code = "email-outdated"


class CustomerNotFound(DomainError):
    """There is no such customer."""

    code = "customer-not-found"


class ConferenceNotFound(DomainError):
    """There is no such conference."""

    code = "conference-not-found"


class ConferenceNotOnSale(DomainError):
    """Seats of this conference are not on sale at this time."""

    code = "conference-not-on-sale"


class InvalidSalesWindow(DomainError):
    """Sales open before they close, and close no later than the conference starts."""

    code = "invalid-sales-window"


class ConferenceIsCancelled(DomainError):
    """This conference is cancelled: nothing about it changes any more."""

    code = "conference-cancelled"


class ConferenceNotCancelled(DomainError):
    """This conference is not cancelled, so its orders stand."""

    code = "conference-not-cancelled"


class ConferenceChanged(DomainError):
    """Somebody has changed this conference since you looked at it. Look at it again."""

    code = "conference-changed"


class NameNeeded(DomainError):
    """A conference, a seat type, a pool and a hold have a name that people can read."""

    code = "name-needed"


class ReasonNeeded(DomainError):
    """This takes a reason, for those who look at the history later."""

    code = "reason-needed"


class MailNoteTooLong(DomainError):
    """The paragraph for mails has too many characters."""

    code = "mail-note-too-long"


class UnknownTimeZone(DomainError):
    """A time zone is known by its IANA name, such as Europe/Berlin."""

    code = "unknown-time-zone"


class SalesWindowOver(DomainError):
    """The sales window is over. Change it first."""

    code = "sales-window-over"


class NoSeatTypes(DomainError):
    """A conference needs at least one seat type."""

    code = "no-seat-types"


class DuplicateSeatType(DomainError):
    """Each seat type of a conference has a code of its own."""

    code = "duplicate-seat-type"


class InvalidSeatType(DomainError):
    """A seat type has a code, at least one seat, no negative price, and between one and its most seats for an order."""

    code = "invalid-seat-type"


class SeatTypeDiffers(DomainError):
    """Seats can be added to a seat type only by the name, price and limit that it has."""

    code = "seat-type-differs"


class UnknownSeatType(DomainError):
    """The conference has no such seat type."""

    code = "unknown-seat-type"


class InvalidQuantity(DomainError):
    """One asks for at least one seat, and for at least one of each type named."""

    code = "invalid-quantity"


class TooManySeats(DomainError):
    """One order may not have so many seats of one type."""

    code = "too-many-seats"


class TooFewSeats(DomainError):
    """One order may not have so few seats of one type."""

    code = "too-few-seats"


class ProviderNotOffered(DomainError):
    """Orders of this conference are not paid by this payment provider."""

    code = "provider-not-offered"


class InvalidProviders(DomainError):
    """Each payment provider has a name, and is named once."""

    code = "invalid-providers"


class CustomerLimitReached(DomainError):
    """One customer may not have so many seats of this conference."""

    code = "customer-limit"


class UnpaidLimitReached(DomainError):
    """This customer has as many unpaid orders of this conference as one may have at once: pay or cancel one first."""

    code = "unpaid-limit"


class InvalidCustomerLimit(DomainError):
    """A customer may have at least one seat."""

    code = "invalid-customer-limit"


class CapacityInUse(DomainError):
    """There can't be fewer seats than are sold, reserved and held."""

    code = "capacity-in-use"


class NotEnoughSeats(DomainError):
    """So many seats are not free."""

    code = "not-enough-seats"


class InvalidPool(DomainError):
    """A pool has a code and at least one place."""

    code = "invalid-pool"


class DuplicatePool(DomainError):
    """Each pool of a conference has a code of its own."""

    code = "duplicate-pool"


class UnknownPool(DomainError):
    """The conference has no such pool."""

    code = "unknown-pool"


class PoolTooSmall(DomainError):
    """A pool needs room for all that is taken of the seat types that draw on it."""

    code = "pool-too-small"


class UnknownHold(DomainError):
    """The conference has no such hold."""

    code = "unknown-hold"


class HoldTooSmall(DomainError):
    """A hold can't give back more seats than it has."""

    code = "hold-too-small"


class InvalidPaymentTerms(DomainError):
    """An order has at least a minute and at most a year to be paid, and up to a year of grace."""

    code = "invalid-payment-terms"


class InvalidCancellationRule(DomainError):
    """A rule of cancellation names its moment, at most a year, at most a hundred percent, and no negative fee."""

    code = "invalid-cancellation-rule"


class CancellationClosed(DomainError):
    """Customers can't cancel confirmed orders of this conference any more."""

    code = "cancellation-closed"


class FeeTooHigh(DomainError):
    """No more can be kept of an order than it costs, nor than is there of its money."""

    code = "fee-too-high"


class PaymentPeriodOver(DomainError):
    """Nothing can be ordered after the last day on which orders of this conference are to be paid."""

    code = "payment-period-over"


class OrderNotPayable(DomainError):
    """This order is not waiting for a payment."""

    code = "order-not-payable"


class OrderNotRefusable(DomainError):
    """This order can't be refused any more."""

    code = "order-not-refusable"


class OrderNotExpirable(DomainError):
    """This order can't expire any more."""

    code = "order-not-expirable"


class OrderNotDue(DomainError):
    """This order may be paid for longer than that."""

    code = "order-not-due"


class OrderNotExtendable(DomainError):
    """Only an order that waits for its payment has time to be paid."""

    code = "order-not-extendable"


class DeadlinePassed(DomainError):
    """Until when an order is to be paid lies in the future."""

    code = "deadline-passed"


class OrderNotReopenable(DomainError):
    """Only an order that was refused, has expired or was cancelled can be reopened."""

    code = "order-not-reopenable"


class MoneyGoingBack(DomainError):
    """Money of this order is to go back, and has not all gone back yet."""

    code = "money-going-back"


class OrderNotCancellable(DomainError):
    """This order can't be cancelled any more."""

    code = "order-not-cancellable"


class OrderNotChangeable(DomainError):
    """Only an order that waits for its payment or is confirmed can have other seats."""

    code = "order-not-changeable"


class ChangeUnderWay(DomainError):
    """Another change of this order is under way. Try again in a moment."""

    code = "change-under-way"


class QuantitiesUnchanged(DomainError):
    """The order has these seats already."""

    code = "quantities-unchanged"


class ChangeNotTakenUp(DomainError):
    """Only a change that has lapsed and is paid by now can be taken up again."""

    code = "change-not-taken-up"


class OrderNotTakenUp(DomainError):
    """Only an order that has expired and is paid by now can be taken up again."""

    code = "order-not-taken-up"


class StatusMailTooSoon(DomainError):
    """A mail that says how this order stands was asked for a moment ago."""

    code = "status-mail-too-soon"


class PaymentReferenceDiffers(DomainError):
    """Another amount was reported under this reference before."""

    code = "payment-reference-differs"


class PaymentReferenceTaken(DomainError):
    """The money of this reference was reported for another payment before."""

    code = "payment-reference-taken"


class ReportDiffers(DomainError):
    """Another report came under this id before."""

    code = "report-differs"


class PaymentNotRefundable(DomainError):
    """Only a payment that was accepted can be refunded."""

    code = "payment-not-refundable"


class PaymentAlreadyAssigned(DomainError):
    """This payment belongs to an order already."""

    code = "payment-already-assigned"


class OrderNotFound(DomainError):
    """There is no such order."""

    code = "order-not-found"


class NothingToMove(DomainError):
    """Nothing is left of this money: it has gone back, is under way, or was moved."""

    code = "nothing-to-move"


class PaymentNotReceived(DomainError):
    """This account has received no such payment."""

    code = "payment-not-received"


class RefundTooHigh(DomainError):
    """No more can go back than was received and has neither gone back nor is under way."""

    code = "refund-too-high"


class RefundNotFound(DomainError):
    """There is no such refund."""

    code = "refund-not-found"


class RefundNotUnderWay(DomainError):
    """This refund is not under way."""

    code = "refund-not-under-way"


class RefundMadeTwice(DomainError):
    """The provider has made this refund, which was asked for again or made in another way since."""

    code = "refund-made-twice"


class RefundNotFailed(DomainError):
    """Only a refund that has failed can be tried again."""

    code = "refund-not-failed"


class RefundClosed(DomainError):
    """The money of this refund is not there any more: it went back otherwise, or to an order."""

    code = "refund-closed"


class RefundAlreadySettled(DomainError):
    """This refund has been settled."""

    code = "refund-already-settled"


class AlreadyWaiting(DomainError):
    """This customer is on the waitlist of this conference already."""

    code = "already-waiting"


class SeatsAreFree(DomainError):
    """These seats are free: order them."""

    code = "seats-free"


class WaitlistEntryNotFound(DomainError):
    """There is no such entry on the waitlist."""

    code = "waitlist-entry-not-found"


class InvalidPriority(DomainError):
    """A priority is a whole number from -1000 to 1000."""

    code = "invalid-priority"


class OfferOver(DomainError):
    """This entry of the waitlist has no offer, or has one no longer."""

    code = "offer-over"
