"""Acts: what staff do about a row of the business, each a form that becomes a command, and the pages that show and send
them.

These are views of their own, for Django's change form is atomic and a command needs a transaction of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from eventstore import repository, store
from eventstore.admin import ReadOnlyAdmin
from eventstore.admin.sent_forms import FORM_ID, drawn, request_id
from eventstore.aggregates import Aggregate, Command
from eventstore.commands import dispatch
from eventstore.context import acting, new_id
from eventstore.errors import ConcurrencyConflict, DomainError, EventstoreError
from ordering.admin.schedule import RuleForm
from ordering.admin.words import sentence
from ordering.domain.conference_changes import time_zones

REASON = "For those who look at the history later."
DONE_ALREADY = "This was done already."


class Act(RuleForm):
    """One thing that can be done about a row, or about a part of it that has a `key`.

    `seen` says which version whoever fills it in has looked at. What was seen and is no longer so is refused with the
    code of `stale`. The same that is sent twice has the same `command_id`, and is carried out once. The button that
    leads to it says `button`, where that is shorter than the `verb`.
    """

    verb: ClassVar[str]
    button: ClassVar[str] = ""
    done: ClassVar[str]
    warning: ClassVar[str] = ""
    permission: ClassVar[str]
    stale: ClassVar[EventstoreError] = ConcurrencyConflict("This has changed since you looked at it. Look at it again.")

    form_id = forms.UUIDField(widget=forms.HiddenInput)
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, row: Any, key: str = "", data: QueryDict | None = None) -> None:
        """Raises KeyError where the row has nothing under this key."""
        self.row, self.key = row, key
        self.command_id: UUID = (request_id(data) if data is not None else None) or new_id()
        self.find()
        super().__init__(data)
        self.initial = {**dict([drawn()]), "seen": self.version, **self.known()}
        self.order_fields([name for name in self.fields if name not in {FORM_ID, "seen"}])

    def find(self) -> None:
        """Look up what it is about. Raises KeyError."""

    @property
    def title(self) -> str:
        return f"{self.verb}: {self.row}"

    @property
    def version(self) -> int | None:
        """How often what it is about has changed so far."""
        raise NotImplementedError

    @property
    def latest(self) -> int | None:
        """The same by the log, where a read model may be behind it."""
        return self.version

    @property
    def if_version(self) -> int | None:
        """Which version the stream of the command must have, where the command itself doesn't say what was seen."""
        return None

    def known(self) -> Mapping[str, Any]:
        """What the fields say before anybody has filled them in."""
        return {}

    def facts(self) -> Iterable[tuple[str, Any]]:
        """How things are now, as far as it matters here."""
        return ()

    def changes(self) -> Sequence[str]:
        """What has happened since it was looked at, in words."""
        return ()

    def command(self) -> Command:
        """May raise a `DomainError`, as the command itself may."""
        raise NotImplementedError


class StreamAct(Act):
    """An act about an aggregate, which the log tells: `kind` says which, `stream_id` where."""

    kind: ClassVar[type[Aggregate]]

    @classmethod
    def stream_id(cls, row: Any) -> UUID:
        raise NotImplementedError

    @classmethod
    def fits(cls, about: Any, key: str) -> bool:
        """Whether it makes sense for the aggregate as it is, or for the part of it that has this key."""
        raise NotImplementedError

    def find(self) -> None:
        self.aggregate: Any = repository.load(self.kind, self.stream_id(self.row))

    @property
    def version(self) -> int:
        return self.aggregate.version

    @property
    def if_version(self) -> int | None:
        return self.cleaned_data["seen"]

    def changes(self) -> Sequence[str]:
        seen = self.cleaned_data.get("seen") or 0
        return [sentence(each) for each in store.read_stream(self.stream_id(self.row), seen)]


class Offer(NamedTuple):
    """A button: what it says, and the page that it leads to."""

    label: str
    url: str


class ActsAdmin(ReadOnlyAdmin):
    """Rows that something can be done about: `acts`, by the word in their addresses."""

    acts: ClassVar[Mapping[str, type[Act]]]

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view(self.act_view), f"{self._page_of}_act"
        return [
            path("<uuid:row_id>/do/<slug:word>/", view, name=name),
            path("<uuid:row_id>/do/<slug:word>/<path:key>/", view, name=name),
            *super().get_urls(),
        ]

    def may(self, request: HttpRequest, act: type[Act]) -> bool:
        return request.user.has_perm(act.permission)

    def offers(self, request: HttpRequest, row_id: UUID, about: Aggregate, key: str = "") -> list[Offer]:
        """What this user may do about an aggregate as it is, or about the part of it that has this key."""
        return [
            Offer(act.button or act.verb, self.act_url(row_id, word, key))
            for word, act in self.acts.items()
            if issubclass(act, StreamAct) and isinstance(about, act.kind) and act.fits(about, key)
            if self.may(request, act)
        ]

    def act_url(self, row_id: UUID, word: str, key: str = "") -> str:
        return reverse(f"admin:{self._page_of}_act", args=[row_id, word, key] if key else [row_id, word])

    def act_view(self, request: HttpRequest, row_id: UUID, word: str, key: str = "") -> HttpResponse:
        """Shows how things are, asks for what is needed, and sends the command."""
        if word not in self.acts:
            raise Http404("There is no such thing to do.")
        if not self.may(request, self.acts[word]):
            raise PermissionDenied
        data = request.POST if request.method == "POST" else None
        if data is not None and (command_id := request_id(data)) and store.was_carried_out(command_id):
            return self._done_already(request, row_id)
        form = self._form(row_id, word, key, data)
        changes: Sequence[str] = ()
        if form is not None and form.is_valid():
            if self.acted(request, form):
                return self.after(form)
            if form.has_error(NON_FIELD_ERRORS, form.stale.code):
                stale, form = form, self._asked_again(row_id, word, key, request.POST)
                changes = stale.changes()
        if form is None:
            messages.warning(request, "That is not there any more.")
            return redirect(self.home(row_id))
        context = {
            "title": form.title,
            "form": form,
            "changes": changes,
            "back": self.home(row_id),
            "time_zones": sorted(time_zones()),
        }
        return self.page(request, "admin/ordering/act.html", context)

    def home(self, row_id: UUID) -> str:
        """Where one goes back to."""
        return reverse(f"admin:{self._page_of}_change", args=[row_id])

    def after(self, form: Act) -> HttpResponse:
        """Where one goes when it is done."""
        return redirect(self.home(form.row.pk))

    def carry_out(
        self,
        request: HttpRequest,
        form: RuleForm,
        make: Callable[[], Command],
        *,
        about: Model,
        done: str,
        record: Callable[..., Any],
        **how: Any,
    ) -> bool:
        """Send the command that is made, with what `dispatch` is to be told besides. What refuses it is said at the
        form.
        """
        try:
            command = make()
            with acting(actor=f"staff:{request.user.pk}"):
                receipt = dispatch(command, **how)
        except (DomainError, ConcurrencyConflict) as refusal:
            said = ValidationError(f"{refusal} ({refusal.code})", code=refusal.code)
            form.add_error(form.about(refusal.code), said)
            return False
        if receipt.repeated:
            messages.info(request, DONE_ALREADY)
        elif not receipt.recorded:
            messages.info(request, "Nothing has changed.")
        else:
            record(request, about, f"Sent {command.stored}.")
            messages.success(request, done)
        return True

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        site = self.admin_site.each_context(request)
        return TemplateResponse(request, template, {**site, **context})

    @property
    def _page_of(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def _form(self, row_id: UUID, word: str, key: str, data: QueryDict | None) -> Act | None:
        """None where the row has nothing under this key."""
        row = self.model._default_manager.filter(pk=row_id).first()
        if row is None:
            raise Http404("This is not readable.")
        try:
            return self.acts[word](row, key, data)
        except KeyError:
            return None

    def acted(self, request: HttpRequest, form: Act) -> bool:
        """Do it; False where it was refused, which the form says."""
        return self.carry_out(
            request,
            form,
            form.command,
            about=form.row,
            done=form.done,
            record=self.log_change,
            command_id=form.command_id,
            if_version=form.if_version,
        )

    def _done_already(self, request: HttpRequest, row_id: UUID) -> HttpResponse:
        """The row may be gone because of it."""
        messages.info(request, DONE_ALREADY)
        if self.model._default_manager.filter(pk=row_id).exists():
            return redirect(self.home(row_id))
        return redirect(f"admin:{self._page_of}_changelist")

    def _asked_again(self, row_id: UUID, word: str, key: str, data: QueryDict) -> Act | None:
        """What was filled in, beside how things are by now."""
        again = data.copy()
        form = self._form(row_id, word, key, again)
        if form is not None:
            again["seen"] = str(form.latest or "")
            form.add_error(None, f"{form.stale} ({form.stale.code})")
        return form


def as_id(text: str | None) -> UUID:
    """What is no id at all is the id of nothing."""
    try:
        return UUID(text or "")
    except ValueError:
        return UUID(int=0)
