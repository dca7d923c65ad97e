"""What staff do about a conference, each a form that becomes a command. They check the shape; the rules are the
aggregate's.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from django import forms
from django.conf import settings

from eventstore import repository
from eventstore.errors import UnknownHere
from eventstore.models import StoredEvent
from ordering.admin import conference_story
from ordering.admin.acts import REASON, Act
from ordering.admin.formatting import cancellation_rule, in_zone, money, payment_terms
from ordering.admin.schedule import DayInput, MomentField, PriceField, SeatTypeForm, TimeZoneField
from ordering.admin.seating import Seating
from ordering.admin.words import via
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    MAIL_NOTE_LIMIT,
    AddPool,
    AssignPools,
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
    ConferenceChange,
    HoldSeats,
    LimitCustomers,
    MoveConference,
    Pool,
    ReleaseHold,
    RenameConference,
    ReopenSales,
    RepriceSeats,
)
from ordering.domain.errors import ConferenceChanged
from ordering.domain.seats import AddSeats
from ordering.domain.terms import CancellableUntil, CancellationRule, PaymentTerms, Unit
from ordering.domain.values import Money
from ordering.models import ConferenceSummary, OrderSummary
from ordering.models.conference import counted
from ordering.providers.registry import installed

MOST = 1_000_000
CANCEL_CONFERENCE = "ordering.cancel_conference"


class ConferenceAct(Act):
    """One thing that can be done about a conference, or about a seat type, a pool or a hold of it: its subject."""

    permission = "ordering.change_conferencesummary"
    subjects: ClassVar[str] = ""
    stale = ConferenceChanged()

    def find(self) -> None:
        self.conference: ConferenceSummary = self.row
        self.subject: dict[str, Any] = getattr(Seating(self.row), self.subjects)[self.key] if self.subjects else {}

    @property
    def title(self) -> str:
        about = self.subject.get("name") or self.subject.get("label") or self.conference.name
        return f"{self.verb}: {about}"

    @property
    def version(self) -> int | None:
        return self.conference.terms_version

    @property
    def zone(self) -> str:
        return super().zone if "time_zone" in self.fields else self.conference.time_zone

    @property
    def latest(self) -> int | None:
        return repository.get(ConferenceSeats, self.conference.pk).terms_version

    def changes(self) -> Sequence[str]:
        """What a newer version of this program has recorded is left out."""
        stream = StoredEvent.objects.filter(stream_id=self.conference.pk)
        seen = stream.filter(version=self.cleaned_data["seen"]).values_list("position", flat=True).first() or 0
        with suppress(UnknownHere):
            return [each.words for each in conference_story.read(self.conference.pk) if each.position > seen]
        return ()

    def about_it(self) -> dict[str, Any]:
        """What every command of staff says."""
        return {"conference_id": self.conference.pk, "seen": self.cleaned_data["seen"]}

    def local(self, moment: datetime) -> datetime:
        """As a form shows it."""
        return moment.astimezone(ZoneInfo(self.conference.time_zone)).replace(tzinfo=None)

    def shown(self, moment: datetime) -> str:
        return in_zone(moment, self.conference.time_zone)


class Rename(ConferenceAct):
    verb, done = "Rename", "The conference has another name."
    blamed = {"name-needed": "name"}

    name = forms.CharField(max_length=200)

    def known(self) -> Mapping[str, Any]:
        return {"name": self.conference.name}

    def command(self) -> ConferenceChange:
        return RenameConference(**self.about_it(), name=self.cleaned_data["name"])


class Move(ConferenceAct):
    verb, done = "Move", "The conference is moved."
    warning = "Nobody is told by mail. Orders stay as they are."
    blamed = {"invalid-sales-window": "starts_at"}

    starts_at = MomentField(label="Starts")
    time_zone = TimeZoneField(label="Time zone", help_text="The start is a time of this zone.")
    place = forms.CharField(max_length=200, required=False)

    def known(self) -> Mapping[str, Any]:
        row = self.conference
        return {"starts_at": self.local(row.starts_at), "time_zone": row.time_zone, "place": row.place}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Starts", self.shown(self.conference.starts_at)
        yield "Sales close", self.shown(self.conference.closes_at)

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return MoveConference(
            **self.about_it(), starts_at=given["starts_at"], time_zone=given["time_zone"], place=given["place"]
        )


class SalesWindow(ConferenceAct):
    verb, done = "Change the sales window", "The sales window is another one."
    blamed = {"invalid-sales-window": "closes_at"}

    opens_at = MomentField(label="Sales open")
    closes_at = MomentField(label="Sales close")

    def known(self) -> Mapping[str, Any]:
        return {"opens_at": self.local(self.conference.opens_at), "closes_at": self.local(self.conference.closes_at)}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Starts", self.shown(self.conference.starts_at)
        yield "Times are those of", self.conference.time_zone

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return ChangeSalesWindow(**self.about_it(), opens_at=given["opens_at"], closes_at=given["closes_at"])


class TermsOfPayment(ConferenceAct):
    verb, done = "Change the payment terms", "New orders have other payment terms."
    warning = "Orders that wait for their payment keep the time that they have."
    blamed = {"invalid-payment-terms": "within"}

    within = forms.IntegerField(label="To be paid within", min_value=1)
    unit = forms.ChoiceField(
        choices=[(unit.value, unit.value) for unit in Unit], help_text="After days, by the end of that day there."
    )
    last_day = forms.DateField(
        label="Last day", required=False, widget=DayInput, help_text="No order is to be paid after it."
    )
    grace = forms.IntegerField(
        label="Minutes of grace", min_value=0, help_text="For which an order is kept beyond its time, untold."
    )

    def known(self) -> Mapping[str, Any]:
        return msgspec.structs.asdict(self.conference.terms_of_payment)

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "To be paid", payment_terms(self.conference.terms_of_payment)
        yield "Days are those of", self.conference.time_zone

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return ChangePaymentTerms(
            **self.about_it(),
            terms=PaymentTerms(given["within"], Unit(given["unit"]), given["last_day"], given["grace"]),
        )


class Cancellation(ConferenceAct):
    verb, done = "Change the cancellation rule", "Orders are cancelled by another rule."
    warning = "It holds for all orders that are cancelled from now on. Staff can cancel at any time."
    blamed = {"invalid-cancellation-rule": "until", "too-many-decimals": "fixed"}

    until = forms.ChoiceField(
        label="Customers may cancel",
        choices=[
            (CancellableUntil.ALWAYS.value, "at any time"),
            (CancellableUntil.START.value, "until the start, or so many hours before"),
            (CancellableUntil.MOMENT.value, "until a moment"),
            (CancellableUntil.NEVER.value, "never"),
        ],
    )
    hours = forms.IntegerField(label="Hours before the start", min_value=0)
    moment = MomentField(label="Moment", required=False)
    fixed = PriceField(label="Kept of each order", required=False)
    percent = forms.IntegerField(label="Percent of what it costs", min_value=0, max_value=100)
    per_seat = PriceField(label="Kept for each seat", required=False, help_text="Seats that cost nothing don't count.")

    def known(self) -> Mapping[str, Any]:
        rule = self.conference.cancellation_rule
        return {
            **msgspec.structs.asdict(rule),
            "moment": rule.moment and self.local(rule.moment),
            "fixed": rule.fixed and rule.fixed.amount,
            "per_seat": rule.per_seat and rule.per_seat.amount,
        }

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Customers may cancel", cancellation_rule(self.conference.cancellation_rule, self.zone)
        yield "Starts", self.shown(self.conference.starts_at)

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return ChangeCancellationRule(
            **self.about_it(),
            rule=CancellationRule(
                until=CancellableUntil(given["until"]),
                hours=given["hours"],
                moment=given["moment"],
                fixed=self._money(given["fixed"]),
                percent=given["percent"],
                per_seat=self._money(given["per_seat"]),
            ),
        )

    def _money(self, amount: Decimal | None) -> Money | None:
        """Nothing is no fee."""
        return Money(amount, next(iter(self.conference.seat_types.values()))["price"]["currency"]) if amount else None


class Providers(ConferenceAct):
    verb, done = "Choose payment providers", "New orders are paid by other providers."
    warning = "Orders that are placed keep the provider that they have, until their customers choose another one."

    providers = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None for the usual one of this site.",
    )
    usual = forms.ChoiceField(required=False, help_text="By which orders are paid that name no provider.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, via(name)) for name in dict.fromkeys([*installed(), *self.conference.providers])]
        self.fields["providers"].choices = choices  # type: ignore[attr-defined]
        self.fields["usual"].choices = [("", "the first of them"), *choices]  # type: ignore[attr-defined]

    def known(self) -> Mapping[str, Any]:
        chosen = self.conference.providers
        return {"providers": chosen, "usual": chosen[0] if chosen else ""}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Usual one of this site", via(settings.PAYMENT_PROVIDER)

    def clean(self) -> None:
        super().clean()
        usual, chosen = self.cleaned_data.get("usual"), self.cleaned_data.get("providers", [])
        if usual and usual not in chosen:
            self.add_error("usual", "It is one of those that are chosen.")

    def command(self) -> ConferenceChange:
        usual, chosen = self.cleaned_data["usual"], self.cleaned_data["providers"]
        providers = sorted(chosen, key=lambda name: name != usual)
        return ChangeProviders(**self.about_it(), providers=tuple(providers))


class CustomerLimit(ConferenceAct):
    verb, done = "Limit customers", "Customers have another limit."
    warning = "It counts the seats of all orders of a customer. Who has more already keeps them."

    max_per_customer = forms.IntegerField(
        label="Seats of one customer", min_value=1, max_value=MOST, required=False, help_text="Empty for no limit."
    )

    def known(self) -> Mapping[str, Any]:
        return {"max_per_customer": self.conference.max_per_customer}

    def command(self) -> ConferenceChange:
        return LimitCustomers(**self.about_it(), max_per_customer=self.cleaned_data["max_per_customer"])


class Close(ConferenceAct):
    verb, done = "Close sales", "Sales are closed."
    warning = "Nobody can order seats until sales are opened again. Orders that are placed can still be paid."
    blamed = {"reason-needed": "reason"}

    reason = forms.CharField(max_length=500, help_text=REASON)

    def facts(self) -> Iterable[tuple[str, Any]]:
        for each in self.conference.seat_types.values():
            yield each["name"], f"{each['available']:,} of {each['capacity']:,} left"

    def command(self) -> ConferenceChange:
        return CloseSales(**self.about_it(), reason=self.cleaned_data["reason"])


class Reopen(ConferenceAct):
    verb, done = "Open sales again", "The sales window counts again."

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Sales open", self.shown(self.conference.opens_at)
        yield "Sales close", self.shown(self.conference.closes_at)

    def command(self) -> ConferenceChange:
        return ReopenSales(**self.about_it())


class MailNote(ConferenceAct):
    verb, done = "Change the paragraph for mails", "Mails have another paragraph from now on."
    warning = "It stands in every mail about an order for this conference, as plain text."
    blamed = {"mail-note-too-long": "note"}

    note = forms.CharField(
        label="Paragraph",
        max_length=MAIL_NOTE_LIMIT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="Such as how to get there, or whom to ask. Empty for none.",
    )

    def known(self) -> Mapping[str, Any]:
        return {"note": repository.get(ConferenceSeats, self.conference.pk).mail_note}

    def command(self) -> ConferenceChange:
        note = self.cleaned_data["note"].replace("\r\n", "\n")
        return ChangeMailNote(**self.about_it(), note=note)


class CancelAll(ConferenceAct):
    verb, done = "Cancel the conference", "The conference is cancelled, and its orders are about to be."
    warning = (
        "Every order is cancelled, all that was paid goes back, and every customer is told by mail. This can't be "
        "undone."
    )
    permission = CANCEL_CONFERENCE
    blamed = {"reason-needed": "reason"}

    reason = forms.CharField(max_length=500, help_text=REASON)
    name = forms.CharField(max_length=200, label="Its name", help_text="Type the name of the conference.")

    def facts(self) -> Iterable[tuple[str, Any]]:
        standing = OrderSummary.objects.standing(self.conference.pk)
        yield "Orders", f"{standing['orders']:,}"
        for each in self.conference.seat_types.values():
            yield "Goes back", money(standing["held"], each["price"]["currency"])
            break

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.conference.name:
            raise forms.ValidationError(f"This conference is called {self.conference.name}.")
        return name

    def command(self) -> ConferenceChange:
        return CancelConference(**self.about_it(), reason=self.cleaned_data["reason"])


class MoreSeats(ConferenceAct, SeatTypeForm):
    verb, done = "Add seats", "The seats are added."
    warning = (
        "A code that the conference has already gets more seats, on the terms it has: same name, price and limit. "
        "Any other code is a new seat type."
    )

    def facts(self) -> Iterable[tuple[str, Any]]:
        for code, each in sorted(self.conference.seat_types.items()):
            price = money(each["price"]["amount"], each["price"]["currency"])
            least, most = counted(each)["min_per_order"], each["max_per_order"]
            yield code, f"{each['name']}, {price}, {least} to {most} in an order"

    def command(self) -> ConferenceChange:
        currency = next(iter(self.conference.seat_types.values()))["price"]["currency"]
        return AddSeats(**self.about_it(), seat_type=self.seat_type(currency))


class NewPool(ConferenceAct):
    verb, done = "Add a pool", "The pool is there. No seat type draws on it yet."
    warning = "A pool is room that several seat types share. Every seat of theirs takes one place in it."
    blamed = {"duplicate-pool": "code", "invalid-pool": "code", "name-needed": "name"}

    code = forms.SlugField(max_length=50)
    name = forms.CharField(max_length=100)
    capacity = forms.IntegerField(label="Places", min_value=1, max_value=MOST)

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return AddPool(**self.about_it(), pool=Pool(given["code"], given["name"], given["capacity"]))


class Counted(ConferenceAct):
    """Shows how many seats there are of its subject, and who has them."""

    def facts(self) -> Iterable[tuple[str, Any]]:
        for count in ("capacity", "sold", "reserved", "held", "available"):
            yield count.capitalize(), f"{self.subject[count]:,}"


class SeatPrice(Counted):
    verb, done, subjects = "Change the price", "The price is another one.", "seat_types"
    warning = "Orders that are placed keep the price that they were placed at."

    blamed = {"too-many-decimals": "price"}

    price = PriceField()

    def known(self) -> Mapping[str, Any]:
        return {"price": self.subject["price"]["amount"]}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Price", money(self.subject["price"]["amount"], self.subject["price"]["currency"])
        yield from super().facts()

    def command(self) -> ConferenceChange:
        price = Money(self.cleaned_data["price"], self.subject["price"]["currency"])
        return RepriceSeats(**self.about_it(), seat_type=self.key, price=price)


class SeatCapacity(Counted):
    verb, done, subjects = "Change the capacity", "The capacity is another one.", "seat_types"
    blamed = {"capacity-in-use": "capacity", "reason-needed": "reason"}

    capacity = forms.IntegerField(min_value=0, max_value=MOST)
    reason = forms.CharField(max_length=500, required=False, help_text=f"Needed where it gets less. {REASON}")

    def known(self) -> Mapping[str, Any]:
        return {"capacity": self.subject["capacity"]}

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return ChangeCapacity(**self.about_it(), seat_type=self.key, capacity=given["capacity"], reason=given["reason"])


class SeatTerms(ConferenceAct):
    verb, done, subjects = "Change the name and the limits", "The seat type is changed.", "seat_types"
    blamed = {"name-needed": "name", "invalid-seat-type": "min_per_order"}

    name = forms.CharField(max_length=100)
    max_per_order = forms.IntegerField(label="At most in an order", min_value=1, max_value=1_000)
    min_per_order = forms.IntegerField(
        label="At least", min_value=1, max_value=1_000, help_text="In an order that has any."
    )

    def known(self) -> Mapping[str, Any]:
        return {name: self.subject[name] for name in ("name", "max_per_order", "min_per_order")}

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return ChangeSeatType(
            **self.about_it(),
            seat_type=self.key,
            name=given["name"],
            max_per_order=given["max_per_order"],
            min_per_order=given["min_per_order"],
        )


class SeatPools(Counted):
    verb, done, subjects = "Choose pools", "The seat type draws on other pools.", "seat_types"
    warning = "Seats that are sold, reserved or held take their places in a pool from now on."
    blamed = {"pool-too-small": "pools"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pools = sorted(self.conference.pools.items())
        self.fields["pools"] = forms.MultipleChoiceField(
            required=False,
            widget=forms.CheckboxSelectMultiple,
            choices=[
                (code, f"{each['name']}: {each['available']:,} of {each['capacity']:,} left") for code, each in pools
            ],
        )

    def known(self) -> Mapping[str, Any]:
        return {"pools": self.subject["pools"]}

    def command(self) -> ConferenceChange:
        return AssignPools(**self.about_it(), seat_type=self.key, pools=tuple(self.cleaned_data["pools"]))


class NewHold(Counted):
    verb, done, subjects = "Hold seats", "The seats are held.", "seat_types"
    warning = "They are kept from sale, for speakers or sponsors, until they are released."
    blamed = {"not-enough-seats": "quantity", "name-needed": "label", "reason-needed": "reason"}

    quantity = forms.IntegerField(label="Seats", min_value=1, max_value=MOST)
    label = forms.CharField(max_length=100, help_text="For whom, such as Speakers. Name a group, not a person.")
    reason = forms.CharField(max_length=500, help_text=REASON)

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return HoldSeats(
            **self.about_it(),
            hold_id=self.command_id,
            seat_type=self.key,
            quantity=given["quantity"],
            label=given["label"],
            reason=given["reason"],
        )


class PoolTerms(Counted):
    verb, done, subjects = "Change the pool", "The pool is changed.", "pools"
    blamed = {"capacity-in-use": "capacity", "reason-needed": "reason", "name-needed": "name"}

    name = forms.CharField(max_length=100)
    capacity = forms.IntegerField(min_value=0, max_value=MOST)
    reason = forms.CharField(max_length=500, required=False, help_text=f"Needed where it gets less. {REASON}")

    def known(self) -> Mapping[str, Any]:
        return {"name": self.subject["name"], "capacity": self.subject["capacity"]}

    def command(self) -> ConferenceChange:
        given = self.cleaned_data
        return ChangePool(
            **self.about_it(),
            pool=self.key,
            name=given["name"],
            capacity=given["capacity"],
            reason=given["reason"],
        )


class Release(ConferenceAct):
    verb, done, subjects = "Release", "The seats are free again.", "holds"
    blamed = {"hold-too-small": "quantity"}

    quantity = forms.IntegerField(label="Seats", min_value=1, max_value=MOST, help_text="All of them, or a part.")

    def known(self) -> Mapping[str, Any]:
        return {"quantity": self.subject["quantity"]}

    def facts(self) -> Iterable[tuple[str, Any]]:
        yield "Held", f"{self.subject['quantity']:,}"
        yield "Of the type", self.conference.seat_types[self.subject["seat_type"]]["name"]

    def command(self) -> ConferenceChange:
        return ReleaseHold(**self.about_it(), hold_id=UUID(self.key), quantity=self.cleaned_data["quantity"])


ACTS: Mapping[str, type[ConferenceAct]] = {
    "rename": Rename,
    "move": Move,
    "sales-window": SalesWindow,
    "payment-terms": TermsOfPayment,
    "cancellation": Cancellation,
    "providers": Providers,
    "limit-customers": CustomerLimit,
    "close-sales": Close,
    "open-sales": Reopen,
    "cancel": CancelAll,
    "mail-note": MailNote,
    "add-seats": MoreSeats,
    "add-pool": NewPool,
    "price": SeatPrice,
    "capacity": SeatCapacity,
    "terms": SeatTerms,
    "pools": SeatPools,
    "hold": NewHold,
    "pool": PoolTerms,
    "release": Release,
}
"""By the word in their addresses."""
