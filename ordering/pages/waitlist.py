"""An entry of a waitlist, behind the links of its mails: its customer leaves, or takes what is offered, or doesn't.

Programs that look through mails open all links, so nothing happens until a button is pressed.
"""

from typing import Any
from uuid import UUID

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from eventstore import context, repository, store
from eventstore.commands import dispatch
from eventstore.errors import DomainError, StreamNotFound
from ordering.domain.conference import ConferenceSeats
from ordering.domain.errors import WaitlistEntryNotFound
from ordering.domain.order import Order
from ordering.domain.seats import PricedLine, total
from ordering.domain.values import payment_id_of
from ordering.domain.waitlist import (
    AcceptOffer,
    DeclineOffer,
    Entry,
    LeaveWaitlist,
    Waitlist,
    WaitlistAccepted,
    WaitlistDeclined,
    WaitlistLapsed,
    WaitlistLeft,
    waitlist_id_of,
)
from ordering.pages.links import payment_url, waitlist_entry_of
from ordering.pages.serving import WITH_FORMS, page

ACTS = {"accept": AcceptOffer, "decline": DeclineOffer, "leave": LeaveWaitlist}
ENDS = (WaitlistAccepted, WaitlistDeclined, WaitlistLapsed, WaitlistLeft)


@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def waitlist(request: HttpRequest, token: str) -> HttpResponse:
    """The entry, or what has become of it. What is sent is carried out, and the page shown again."""
    try:
        conference_id, entry_id = waitlist_entry_of(token)
        conference = repository.get(ConferenceSeats, conference_id)
        waiting = repository.get(Waitlist, waitlist_id_of(conference_id))
    except (BadSignature, StreamNotFound):
        return page("not_found", 404)
    entry = waiting.entries.get(entry_id)
    refusal = ""
    if request.method == "POST":
        refusal = _act(request.POST.get("do", ""), waiting.id, entry) if entry else ""
        if not refusal:
            return HttpResponseRedirect(request.path, headers=WITH_FORMS)
    if entry is None:
        return _ended(conference, waiting.id, entry_id)
    shown = _shown(conference, entry)
    return page("waitlist", 409 if refusal else 200, request=request, refusal=refusal, **shown)


def _act(what: str, waitlist_id: UUID, entry: Entry) -> str:
    """Why it can't be, if it can't. An entry that has left the list meanwhile is shown as what has become of it."""
    if what not in ACTS:
        return "Press one of the buttons."
    try:
        with context.acting(actor=f"customer:{entry.customer_id}"):
            dispatch(ACTS[what](waitlist_id=waitlist_id, entry_id=entry.id))
    except WaitlistEntryNotFound:
        return ""
    except DomainError as refused:
        return f"{refused} ({refused.code})"
    return ""


def _shown(conference: ConferenceSeats, entry: Entry) -> dict[str, Any]:
    """At the prices of now, which are those of an order that is placed now."""
    types = conference.seat_types
    lines = tuple(PricedLine(each.seat_type, each.quantity, types[each.seat_type].price) for each in entry.lines)
    return {
        "conference": conference,
        "lines": [(types[line.seat_type].name, line) for line in lines],
        "total": total(lines),
        "until": entry.until,
        "on_offer": entry.until is not None and timezone.now() < entry.until,
    }


def _ended(conference: ConferenceSeats, waitlist_id: UUID, entry_id: UUID) -> HttpResponse:
    """How the entry has left the list. What was accepted is ordered, and a payment asked for, a moment later."""
    ends = store.read_types(waitlist_id, [event.stored for event in ENDS])
    end: Any = next((each.event for each in reversed(ends) if getattr(each.event, "entry_id", None) == entry_id), None)
    if end is None:
        return page("not_found", 404)
    shown = {"conference": conference, "end": end.stored, "reason": getattr(end, "reason", "")}
    if not isinstance(end, WaitlistAccepted):
        return page("waitlist_ended", 200, **shown)
    payment_id = payment_id_of(end.order_id)
    try:
        order = repository.get(Order, end.order_id)
    except StreamNotFound:
        return page("waitlist_ended", 202, **shown)
    if order.awaits_payment and not store.version_of(payment_id):
        return page("waitlist_ended", 202, **shown)
    return page("waitlist_ended", 200, **shown, order=order, pay=order.awaits_payment and payment_url(payment_id))
