"""The waitlist: joining by wish, one's place in the line, leaving, and the answer to an offer."""

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import repository, store
from eventstore.aggregates import Command
from eventstore.commands import Receipt
from eventstore.errors import StreamNotFound
from eventstore.models import ParkedEvent
from eventstore.preview import Preview
from ordering.api import log_reads, min_position
from ordering.api.orders import MOST_LINES, NOT_OFFERED, LineShape
from ordering.api.pagination import page
from ordering.api.refusals import refuses
from ordering.api.serializers import Identifier, PageQuery, PendingShape, Shape, shaped
from ordering.api.views import View, etag_of, once
from ordering.domain.errors import (
    AlreadyWaiting,
    ConferenceNotFound,
    CustomerLimitReached,
    CustomerNotFound,
    OfferOver,
    SeatsAreFree,
    WaitlistEntryNotFound,
)
from ordering.domain.seats import Line, merged
from ordering.domain.waitlist import (
    AcceptOffer,
    DeclineOffer,
    JoinWaitlist,
    LeaveWaitlist,
    Leaving,
    Waitlist,
    WaitlistJoined,
    waitlist_id_of,
)
from ordering.models import WaitlistEntry
from ordering.projections.waitlist import WaitlistEntries

ENTRIES = WaitlistEntries()
MOST_UNREAD = 1000
"""Entries that the read model has yet to get to, among which one is looked for."""


class JoinShape(Shape):
    customer_id = Identifier(required=False, help_text="who waits; if it is left out, whoever calls")
    conference_id = Identifier()
    lines: Any = LineShape(many=True, allow_empty=False, max_length=MOST_LINES)  # type: ignore[call-arg]  # many=True makes a list


class WantedShape(Shape):
    seat_type = serializers.CharField()
    quantity = serializers.IntegerField()


class EntryShape(Shape):
    id = serializers.UUIDField(source="entry_id")
    conference_id = serializers.UUIDField()
    customer_id = serializers.UUIDField()
    lines = WantedShape(many=True)
    status = serializers.ChoiceField(WaitlistEntry.Status.choices)
    ahead = serializers.SerializerMethodField(help_text="how many are in the line before it; null unless it waits")
    joined_at = serializers.DateTimeField()
    refused_order_id = serializers.UUIDField(allow_null=True, help_text="the order for whose refusal it waits, if any")
    offered_until = serializers.DateTimeField(allow_null=True, help_text="before which an offer is to be accepted")
    order_id = serializers.UUIDField(
        allow_null=True, help_text="the order for the seats that were accepted; it is placed a moment later"
    )
    reason = serializers.ChoiceField(
        [each.value for each in Leaving], allow_blank=True, help_text="why it left; empty if it has not"
    )
    ended_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_ahead(self, row: WaitlistEntry) -> int | None:
        return row.ahead if row.status == WaitlistEntry.Status.WAITING else None  # type: ignore[attr-defined]  # annotated


class EntryQuery(PageQuery):
    status = serializers.ChoiceField(WaitlistEntry.Status.choices, required=False)
    conference_id = Identifier(required=False)
    customer_id = Identifier(required=False)


class EntryPage(Shape):
    results = EntryShape(many=True)
    next = serializers.URLField(allow_null=True)


class WaitlistView(View):
    """What the calls about entries share."""

    scope = "waitlist"

    def entry(self, entry_id: UUID, *, touch: bool = False) -> WaitlistEntry | WaitlistJoined:
        """Its row, or while that is not there yet, the event by which it joined. Raises `StreamNotFound`, also for
        somebody else's.
        """
        entry = WaitlistEntry.objects.in_line().filter(pk=entry_id).first() or _unread(entry_id)
        (self.caller.must_touch if touch else self.caller.must_see)(entry.customer_id, WaitlistEntry)
        return entry

    def answer(self, entry_id: UUID, command: type[Command]) -> Response:
        """Sends a command about an entry; the same again is answered as the first time."""
        shaped(Shape, self.request.data)
        entry = self.entry(entry_id, touch=True)
        asked = command(waitlist_id=waitlist_id_of(entry.conference_id), entry_id=entry_id)
        return self.as_it_stands(self.send(asked, command_id=once(asked)), entry_id, 200)

    def as_it_stands(self, receipt: Receipt, entry_id: UUID, status: int, *, location: str | None = None) -> Response:
        row = _row(receipt, entry_id)
        return self.written(receipt, _show(row), row.version, status=status, location=location)

    def current(self) -> str | None:
        if "entry_id" not in self.kwargs:
            return None
        entry_id = self.kwargs["entry_id"]
        row = _folded(waitlist_id_of(self.entry(entry_id).conference_id), entry_id)
        return etag_of(_show(row), row.version)


class Entries(WaitlistView):
    reads = (WaitlistEntries,)
    query = EntryQuery

    @extend_schema(operation_id="waitlist_list", parameters=[EntryQuery], responses={200: EntryPage, 202: PendingShape})
    def get(self, request: Request) -> Response:
        """The entries that the caller may see, over all conferences, the newest first."""
        rows = WaitlistEntry.objects.in_line()
        if not self.caller.sees_all_of(WaitlistEntry):
            rows = rows.filter(customer_id=self.caller.customer_id) if self.caller.customer_id else rows.none()
        how = {name: self.asked.pop(name) for name in ("limit", "cursor")}
        return page(request, rows.filter(**self.asked), _show, **how)

    @refuses(CustomerNotFound, ConferenceNotFound, *NOT_OFFERED, CustomerLimitReached, AlreadyWaiting, SeatsAreFree)
    @extend_schema(request=JoinShape, responses={200: EntryShape, 201: EntryShape})
    def post(self, request: Request) -> Response:
        """Waits for seats that can't be ordered now. Who waits for the same already is answered 200 with that entry."""
        values = shaped(JoinShape, request.data)
        customer_id = values.get("customer_id") or self.caller.customer_id
        if customer_id is None:
            raise ValidationError({"customer_id": [ErrorDetail("This field is required.", "required")]})
        if not self.caller.may_act_for(customer_id):
            raise CustomerNotFound
        lines = merged(Line(**line) for line in values["lines"])
        waitlist_id, entry_id = waitlist_id_of(values["conference_id"]), self.new_id()
        command = JoinWaitlist(
            waitlist_id=waitlist_id,
            conference_id=values["conference_id"],
            entry_id=entry_id,
            customer_id=customer_id,
            lines=lines,
        )
        try:
            receipt = self.send(command)
        except AlreadyWaiting:
            return self.known(waitlist_id, customer_id, lines)
        location = request.build_absolute_uri(reverse("waitlist-entry", args=[entry_id]))
        return self.as_it_stands(receipt, entry_id, 201, location=location)

    def known(self, waitlist_id: UUID, customer_id: UUID, lines: tuple[Line, ...]) -> Response:
        """The entry that a customer has. Raises `AlreadyWaiting` if it is for other seats."""
        waitlist = repository.get(Waitlist, waitlist_id)
        for entry in waitlist.entries.values():
            if entry.customer_id == customer_id and merged(entry.lines) == lines:
                if self.dry_run:
                    return self.would_record(Preview(stream_id=waitlist_id, recorded=()))
                row = _folded(waitlist_id, entry.id)
                body = _show(row)
                position = min_position.written(log_reads.last_position(waitlist_id))
                return Response(body, headers={"ETag": etag_of(body, row.version), **position})
        raise AlreadyWaiting


class OneEntry(WaitlistView):
    reads = (WaitlistEntries,)
    tagged = True

    @extend_schema(responses={200: EntryShape, 202: PendingShape})
    def get(self, request: Request, entry_id: UUID) -> Response:
        """An entry as it stands."""
        entry = self.entry(entry_id)
        if isinstance(entry, WaitlistJoined):
            return self.pending(waitlist_id_of(entry.conference_id), ENTRIES.name)
        return self.shown(_show(entry), entry.version)

    @refuses(WaitlistEntryNotFound, PermissionDenied)
    @extend_schema(responses={200: EntryShape})
    def delete(self, request: Request, entry_id: UUID) -> Response:
        """Leaves the waitlist. Seats that are on offer go to whoever is next."""
        return self.answer(entry_id, LeaveWaitlist)


class Acceptance(WaitlistView):
    @refuses(WaitlistEntryNotFound, OfferOver, *NOT_OFFERED, PermissionDenied)
    @extend_schema(request=None, responses=EntryShape)
    def post(self, request: Request, entry_id: UUID) -> Response:
        """Takes what is on offer. The order with the `order_id` of the answer is placed by a worker, a moment later."""
        return self.answer(entry_id, AcceptOffer)


class Refusal(WaitlistView):
    @refuses(WaitlistEntryNotFound, OfferOver, PermissionDenied)
    @extend_schema(request=None, responses=EntryShape)
    def post(self, request: Request, entry_id: UUID) -> Response:
        """Lets what is on offer go, and leaves the waitlist."""
        return self.answer(entry_id, DeclineOffer)


def _show(row: WaitlistEntry) -> Any:
    return EntryShape.of(row)


def _row(receipt: Receipt, entry_id: UUID) -> WaitlistEntry:
    """The row, or while its projection is behind, what it will be."""
    row = WaitlistEntry.objects.in_line().filter(pk=entry_id, version__gte=receipt.version).first()
    return row or _folded(receipt.stream_id, entry_id)


def _folded(waitlist_id: UUID, entry_id: UUID) -> WaitlistEntry:
    """The row, with `ahead`, as `WaitlistEntry.objects.in_line` has it."""
    events = [each for each in store.read_stream(waitlist_id) if getattr(each.event, "entry_id", None) == entry_id]
    row = log_reads.folded(ENTRIES, entry_id, events)
    row.ahead = repository.get(Waitlist, waitlist_id).ahead_of(entry_id)  # type: ignore[attr-defined]  # annotated
    return row


def _unread(entry_id: UUID) -> WaitlistJoined:
    """An entry that the read model has yet to get to, or could not fold. Raises `StreamNotFound`."""
    parked = ParkedEvent.objects.filter(subscriber=ENTRIES.name, key=str(entry_id)).values_list("position", flat=True)
    ahead = store.read(log_reads.checkpoint(ENTRIES.name), store.head(), [WaitlistJoined.stored], MOST_UNREAD)
    for each in (*store.read_these(list(parked)), *ahead):
        if isinstance(each.event, WaitlistJoined) and each.event.entry_id == entry_id:
            return each.event
    raise StreamNotFound
