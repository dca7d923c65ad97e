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
    CancelConference,
    ChangeCapacity,
    ChangePool,
    ChangeSalesWindow,
    ChangeSeatType,
    CloseSales,
    HoldSeats,
    MoveConference,
    ReleaseHold,
    RenameConference,
    ReopenSales,
    RepriceSeats,
)
from ordering.domain.customer import ChangeCustomer, Customer, RegisterCustomer
from ordering.domain.order import (
    CancelOrder,
    ConfirmOrder,
    ExpireOrder,
    Order,
    PlaceOrder,
    RefuseOrder,
    RequestStatusMail,
)
from ordering.domain.payment import AcceptPayment, DeclinePayment, Payment, RefundPayment, RequestPayment
from ordering.effects.customer import send_welcome
from ordering.effects.order import send_confirmation, send_status
from ordering.processes.sale import Sale
from ordering.projections.conference import SeatAvailability
from ordering.projections.customer import CustomerProfiles
from ordering.projections.order import OrderSummaries
from ordering.projections.payment import SalesByConference, SalesByDay

COMMANDS = {
    Customer: (RegisterCustomer, ChangeCustomer),
    ConferenceSeats: (
        *(ScheduleConference, RenameConference, MoveConference, ChangeSalesWindow, CloseSales, ReopenSales),
        *(CancelConference, AddSeats, RepriceSeats, ChangeSeatType, ChangeCapacity, AddPool, ChangePool, AssignPools),
        *(HoldSeats, ReleaseHold, ReserveSeats, SellSeats, ReleaseSeats),
    ),
    Order: (PlaceOrder, ConfirmOrder, RefuseOrder, ExpireOrder, CancelOrder, RequestStatusMail),
    Payment: (RequestPayment, AcceptPayment, DeclinePayment, RefundPayment),
}

PROJECTIONS = (
    CustomerProfiles(),
    SeatAvailability(),
    OrderSummaries(),
    SalesByDay(),
    SalesByConference(),
)

SAGAS = (Sale(),)

EFFECTS = (
    send_welcome,
    send_confirmation,
    send_status,
)

commands.register(COMMANDS)
registry.register(*PROJECTIONS, *SAGAS, *EFFECTS)
