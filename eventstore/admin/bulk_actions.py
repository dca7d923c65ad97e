"""What becomes of rows that somebody selects in a list: an operation for each, once that is confirmed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from eventstore.admin.forms import ReasonForm
from eventstore.admin.lists import KeysetAdmin
from eventstore.admin.sent_forms import drawn, request_id
from eventstore.errors import EventstoreError
from eventstore.operations.base import FellShort, Operation, perform


class BulkActionsAdmin(KeysetAdmin):
    """A list whose actions are operations. An action answers `perform_each`, with what is to be done."""

    none_left = "None of these is left as it was: somebody has resolved it meanwhile."

    def perform_each(
        self, request: HttpRequest, asked: Sequence[Operation], *, about: str = "", back: str = ""
    ) -> HttpResponse | None:
        """Confirmed first, then done one by one: what one is refused says nothing of the others. `about` says in the
        title what is asked for, if not what is selected; `back` is where one goes who doesn't want it.
        """
        if not asked:
            messages.warning(request, self.none_left)
            return None
        reason = ReasonForm(request.POST if "confirmed" in request.POST else None) if asked[0].needs_reason else None
        if "confirmed" not in request.POST or (reason is not None and not reason.is_valid()):
            return self._confirm(request, asked, reason, about, back)
        done: list[str] = []
        short: list[str] = []
        refused: list[str] = []
        sent = request_id(request.POST)
        said = {
            "reason": reason.cleaned_data["reason"] if reason is not None else "",
            "by": request.user.get_username(),
        }
        for each in asked:
            try:
                outcome = perform(each, request_id=sent and _of_one(sent, each), **said)
            except EventstoreError as refusal:
                refused.append(f"{each.target}: {refusal}")
            else:
                (short if isinstance(outcome, FellShort) else done).append(f"{each.target}: {outcome}.")
        for text in _counted(done):
            messages.success(request, text)
        for text in _counted(short):
            messages.warning(request, text)
        for text in _counted(refused):
            messages.error(request, text)
        return None

    def _confirm(
        self, request: HttpRequest, asked: Sequence[Operation], reason: ReasonForm | None, about: str, back: str
    ) -> HttpResponse:
        previews, refusals = [], []
        for each in asked:
            try:
                previews.append(each.preview())
            except EventstoreError as refusal:
                refusals.append(f"{each.target}: {refusal}")
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"{asked[0].verb}: {about or f'{len(asked):,} selected'}",
            "verb": asked[0].verb,
            "previews": _counted(previews),
            "refusal": " ".join(_counted(refusals)),
            "hidden": [
                drawn(),
                *(("action", chosen) for chosen in request.POST.getlist("action")),
                ("confirmed", "yes"),
                *((ACTION_CHECKBOX_NAME, chosen) for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME)),
            ],
            "reason": reason,
            "back": back or request.get_full_path(),
        }
        return TemplateResponse(request, "eventstore/admin/confirm.html", context)


def _of_one(sent: UUID, asked: Operation) -> UUID:
    return uuid5(sent, msgspec.json.encode((asked.name, asked)).decode())


def _counted(texts: Iterable[str]) -> list[str]:
    """Each once; of what is said several times, how often."""
    return [text if many == 1 else f"{text} ({many:,} times)" for text, many in Counter(texts).items()]
