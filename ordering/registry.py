"""The table of contents: every aggregate with its commands, every projection, saga, side effect, watch and importer.
Start reading here.
"""

from eventstore import commands
from eventstore.imports.importer import importers
from eventstore.subscriptions import registry
from ordering.domain import upcasters  # noqa: F401 - declares them
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    AddPool,
    AssignPools,
    CallOffOrders,
    CancelConference,
    ChangeCancellationRule,
    ChangeCapacity,
    ChangeMailNote,
    ChangePaymentTerms,
    ChangePool,
    ChangeProviders,
    ChangeSalesWindow,
    ChangeSeatType,
    CloseSales,
    HoldSeats,
    LimitCustomers,
    MoveConference,
    ReleaseHold,
    RenameConference,
    ReopenSales,
    RepriceSeats,
)
from ordering.domain.customer import (
    ChangeCustomer,
    ConfirmEmail,
    Customer,
    RecordPasswordChange,
    RegisterCustomer,
    RequestEmailLink,
)
from ordering.domain.finance import (
    Account,
    BookPayment,
    BringForward,
    FailRefund,
    MarkRefundMade,
    MovePaymentIn,
    MovePaymentOut,
    ReportRefund,
    RequestRefund,
    RetryRefund,
    ReturnEverything,
    SettleRefund,
)
from ordering.domain.order import (
    CancelOrder,
    ChooseProvider,
    ConfirmOrder,
    CreditPayment,
    DebitRefund,
    ExpireOrder,
    ExtendOrder,
    FollowPayment,
    Order,
    PlaceOrder,
    RecreditRefund,
    RefuseOrder,
    ReopenOrder,
    RequestReminder,
    RequestStatusMail,
    ReviewPayment,
    TakeUpOrder,
)
from ordering.domain.order_changes import ChangeQuantities, ConcludeChange, TakeUpChange
from ordering.domain.password_reset import PasswordReset, RequestPasswordReset
from ordering.domain.payment import (
    AcceptPayment,
    AssignPayment,
    AwaitPayment,
    DeclinePayment,
    KeepUnmatched,
    Payment,
    RefundPayment,
    RequestPayment,
)
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import AddSeats, ChangeSeats, ReleaseSeats, ReserveSeats, SellSeats
from ordering.domain.unmatched_payment import UnmatchedPayment
from ordering.domain.waitlist import (
    AcceptOffer,
    ChooseEntries,
    ClearWaitlist,
    DeclineOffer,
    JoinAfterRefusal,
    JoinWaitlist,
    LapseOffer,
    LeaveWaitlist,
    MissOrder,
    MissSeats,
    OfferSeats,
    PrioritiseEntry,
    Waitlist,
)
from ordering.effects.customer import (
    send_email_changed,
    send_email_link,
    send_password_changed,
    send_password_link,
    send_welcome,
)
from ordering.effects.order import (
    send_cancellation,
    send_change,
    send_change_refusal,
    send_confirmation,
    send_expiry,
    send_lapse,
    send_refusal,
    send_reminder,
    send_request,
    send_status,
)
from ordering.effects.refund import ask_provider, send_refund_made, send_refund_request, send_refund_reversed
from ordering.effects.waitlist import send_joined, send_left, send_offer, send_offer_lapsed
from ordering.imports.customers import Customers
from ordering.processes.booking import Booking
from ordering.processes.cancellation import Cancellation
from ordering.processes.sale import Sale
from ordering.processes.waitlist import Offering, Waiting
from ordering.projections.conference import SeatAvailability
from ordering.projections.customer import CustomerProfiles
from ordering.projections.demographics import Demographics
from ordering.projections.finance import ExcessOfOrders, FailedRefunds, UnmatchedPayments
from ordering.projections.journal import FinanceAccounts, Journal
from ordering.projections.order import OrderSummaries
from ordering.projections.payment import SalesByConference, SalesByDay
from ordering.projections.waitlist import WaitlistEntries
from ordering.watches.books import Books
from ordering.watches.seats import SeatsWithinCapacity
from sagas.webhooks.subscriber import webhooks

COMMANDS = {
    Customer: (RegisterCustomer, ChangeCustomer, ConfirmEmail, RequestEmailLink, RecordPasswordChange),
    PasswordReset: (RequestPasswordReset,),
    ConferenceSeats: (
        *(ScheduleConference, RenameConference, MoveConference, ChangeSalesWindow, CloseSales, ReopenSales),
        *(CancelConference, CallOffOrders, ChangeMailNote, ChangePaymentTerms, ChangeCancellationRule),
        *(
            LimitCustomers,
            ChangeProviders,
            AddSeats,
            RepriceSeats,
            ChangeSeatType,
            ChangeCapacity,
            AddPool,
            ChangePool,
            AssignPools,
        ),
        *(HoldSeats, ReleaseHold, ReserveSeats, SellSeats, ChangeSeats, ReleaseSeats),
    ),
    Order: (
        PlaceOrder,
        ConfirmOrder,
        RefuseOrder,
        ExpireOrder,
        ExtendOrder,
        FollowPayment,
        ChooseProvider,
        ReopenOrder,
        TakeUpOrder,
        CancelOrder,
        ChangeQuantities,
        ConcludeChange,
        TakeUpChange,
        CreditPayment,
        DebitRefund,
        RecreditRefund,
        ReviewPayment,
        RequestReminder,
        RequestStatusMail,
    ),
    Waitlist: (
        *(JoinWaitlist, JoinAfterRefusal, ChooseEntries, OfferSeats, MissSeats),
        *(AcceptOffer, MissOrder, DeclineOffer, LapseOffer, LeaveWaitlist, PrioritiseEntry, ClearWaitlist),
    ),
    Payment: (RequestPayment, AcceptPayment, AwaitPayment, DeclinePayment, RefundPayment),
    UnmatchedPayment: (KeepUnmatched, AssignPayment),
    Account: (
        BookPayment,
        BringForward,
        MovePaymentOut,
        MovePaymentIn,
        RequestRefund,
        ReturnEverything,
        SettleRefund,
        FailRefund,
        ReportRefund,
        RetryRefund,
        MarkRefundMade,
    ),
}

PROJECTIONS = (
    CustomerProfiles(),
    Demographics(),
    SeatAvailability(),
    OrderSummaries(),
    WaitlistEntries(),
    SalesByDay(),
    SalesByConference(),
    UnmatchedPayments(),
    ExcessOfOrders(),
    FailedRefunds(),
    FinanceAccounts(),
    Journal(),
)

SAGAS = (Booking(), Sale(), Cancellation(), Waiting(), Offering())

EFFECTS = (
    send_welcome,
    send_email_changed,
    send_email_link,
    send_password_link,
    send_password_changed,
    send_request,
    send_reminder,
    send_confirmation,
    send_refusal,
    send_expiry,
    send_cancellation,
    send_change,
    send_change_refusal,
    send_lapse,
    send_status,
    ask_provider,
    send_refund_request,
    send_refund_made,
    send_refund_reversed,
    send_joined,
    send_offer,
    send_offer_lapsed,
    send_left,
)

WATCHES = (SeatsWithinCapacity(), Books())

IMPORTERS = (Customers(),)

commands.register(COMMANDS)
registry.register(*PROJECTIONS, *SAGAS, *EFFECTS, webhooks, *WATCHES)
importers.register(*IMPORTERS)
