"""The table of contents: every aggregate with its commands, every projection, saga and side effect. Start reading
here.
"""

from eventstore import commands
from eventstore.subscriptions import registry
from ordering.domain import upcasters  # noqa: F401 - declares them
from ordering.domain.conference import (
    AddSeats,
    ConferenceSeats,
    ReleaseSeats,
    ReserveSeats,
    ScheduleConference,
    SellSeats,
)
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
from ordering.domain.customer import ChangeCustomer, Customer, RegisterCustomer
from ordering.domain.finance import (
    Account,
    BookPayment,
    BringForward,
    FailRefund,
    MarkRefundMade,
    MovePaymentIn,
    MovePaymentOut,
    RequestRefund,
    RetryRefund,
    ReturnEverything,
    SettleRefund,
)
from ordering.domain.order import (
    CancelOrder,
    ConfirmOrder,
    CreditPayment,
    DebitRefund,
    ExpireOrder,
    ExtendOrder,
    FollowPayment,
    Order,
    PlaceOrder,
    RefuseOrder,
    ReopenOrder,
    RequestReminder,
    RequestStatusMail,
    TakeUpOrder,
)
from ordering.domain.payment import (
    AcceptPayment,
    AssignPayment,
    AwaitPayment,
    DeclinePayment,
    KeepUnmatched,
    Payment,
    RefundPayment,
    RequestPayment,
    UnmatchedPayment,
)
from ordering.effects.customer import send_welcome
from ordering.effects.order import (
    send_cancellation,
    send_confirmation,
    send_expiry,
    send_refusal,
    send_reminder,
    send_request,
    send_status,
)
from ordering.effects.refund import ask_provider, send_refund_made, send_refund_request
from ordering.processes.booking import Booking
from ordering.processes.cancellation import Cancellation
from ordering.processes.sale import Sale
from ordering.projections.conference import SeatAvailability
from ordering.projections.customer import CustomerProfiles
from ordering.projections.finance import ExcessOfOrders, FailedRefunds, UnmatchedPayments
from ordering.projections.journal import FinanceAccounts, Journal
from ordering.projections.order import OrderSummaries
from ordering.projections.payment import SalesByConference, SalesByDay

COMMANDS = {
    Customer: (RegisterCustomer, ChangeCustomer),
    ConferenceSeats: (
        *(ScheduleConference, RenameConference, MoveConference, ChangeSalesWindow, CloseSales, ReopenSales),
        *(CancelConference, CallOffOrders, ChangeMailNote, ChangePaymentTerms, ChangeCancellationRule),
        *(LimitCustomers, AddSeats, RepriceSeats, ChangeSeatType, ChangeCapacity, AddPool, ChangePool, AssignPools),
        *(HoldSeats, ReleaseHold, ReserveSeats, SellSeats, ReleaseSeats),
    ),
    Order: (
        PlaceOrder,
        ConfirmOrder,
        RefuseOrder,
        ExpireOrder,
        ExtendOrder,
        FollowPayment,
        ReopenOrder,
        TakeUpOrder,
        CancelOrder,
        CreditPayment,
        DebitRefund,
        RequestReminder,
        RequestStatusMail,
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
        RetryRefund,
        MarkRefundMade,
    ),
}

PROJECTIONS = (
    CustomerProfiles(),
    SeatAvailability(),
    OrderSummaries(),
    SalesByDay(),
    SalesByConference(),
    UnmatchedPayments(),
    ExcessOfOrders(),
    FailedRefunds(),
    FinanceAccounts(),
    Journal(),
)

SAGAS = (Booking(), Sale(), Cancellation())

EFFECTS = (
    send_welcome,
    send_request,
    send_reminder,
    send_confirmation,
    send_refusal,
    send_expiry,
    send_cancellation,
    send_status,
    ask_provider,
    send_refund_request,
    send_refund_made,
)

commands.register(COMMANDS)
registry.register(*PROJECTIONS, *SAGAS, *EFFECTS)
