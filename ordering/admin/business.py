"""Pages of orders, customers and conferences: each is told from the log, whatever its row shows by now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from eventstore.admin import ReadOnlyAdmin
from eventstore.codec import Recorded
from eventstore.events import Event
from ordering.admin import derived, timeline
from ordering.admin.acts import as_id
from ordering.admin.derived import DerivedRow
from ordering.admin.timeline import Entry
from ordering.admin.words import sentence


class Told(NamedTuple):
    """What the log tells of one of them: how it is called, its entries and its events, the newest at the end. `is_now`
    says how it stands by that.
    """

    name: str
    entries: Sequence[Entry]
    events: Sequence[Recorded]
    is_now: str = ""

    @property
    def began_at(self) -> datetime:
        return self.entries[0].at


class BusinessAdmin(ReadOnlyAdmin):
    """Rows that are each about one stream. One that can't be read yet has a page all the same."""

    noun: ClassVar[str]
    """What a row is about, for people."""

    begun: ClassVar[str]
    """What its first event did with it."""

    def tell(self, object_id: UUID) -> Told | None:
        """What the log tells of it; None where it has no such stream. Raises `UnknownHere`."""
        raise NotImplementedError

    def standing(self, request: HttpRequest, object_id: UUID, told: Told) -> dict[str, Any]:
        """What its page says where the row is out of date."""
        return self.compared(request, derived.row_of(self.model, object_id, told.events), told)

    def compared(self, request: HttpRequest, row: DerivedRow, told: Told) -> dict[str, Any]:
        """The same where it is known already how the row stands."""
        said = {entry.position: entry.words for entry in told.entries}
        return derived.warning(request, row, lambda each: said.get(each.position) or sentence(each), told.is_now)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Django asks this where there is no row, once it is clear that the user may see one."""
        told = timeline.readable(request, self.tell, as_id(object_id))
        context = {
            **self.admin_site.each_context(request),
            "opts": opts,
            "noun": self.noun,
            "begun": self.begun,
            "id": object_id,
            "told": told,
            "title": f"No such {self.noun}",
        }
        if told is None:
            return TemplateResponse(request, "admin/ordering/no_such.html", context, status=404)
        row = derived.row_of(self.model, as_id(object_id), told.events)
        pending, more = derived.lag(row)
        context |= {
            "title": f"{self.noun.capitalize()} {told.name}",
            "row": row,
            "pending": pending,
            "more": more,
            "offers": derived.rebuild(request, row, request.get_full_path()),
            **timeline.shown(told.entries),
        }
        return TemplateResponse(request, "admin/ordering/unreadable.html", context)


def of_stream(stream_id: UUID, entries: Sequence[Entry], naming: tuple[type[Event], ...]) -> Told | None:
    """The same of what has one stream alone, and is called as the last of some events says; None where there is no
    such stream. Raises `UnknownHere`.
    """
    events = derived.newest(stream_id) if entries else []
    names = [str(each.event.name) for each in events if isinstance(each.event, naming)]  # type: ignore[attr-defined]
    return Told(names[-1] if names else str(stream_id), entries, events) if entries else None
