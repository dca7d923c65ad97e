"""One page for every operation: what it asks for, what it will touch, and a yes or a no.

It is a view of its own because operations have transactions of their own, and Django's change form is atomic.
"""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views import View

from eventstore.admin.forms import OperationForm, ReasonForm
from eventstore.admin.sent_forms import drawn, request_id
from eventstore.errors import EventstoreError
from eventstore.operations.base import FellShort, Operation, operations, perform, performed
from eventstore.operations.fields import make_operation
from eventstore.subscriptions.registry import registry


class OperationView(View):
    """First asks for what the operation needs, unless the address says it; then shows what it will touch, and asks
    whether that is meant. What was shown is what is done: to change it one goes a page back.
    """

    site: admin.AdminSite = admin.site
    kind: type[Operation]
    form: OperationForm
    reason: ReasonForm | None

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        name, self.subscriber = kwargs["operation"], kwargs["subscriber"]
        self.request_id = request_id(request.POST)
        self.performed = performed(self.request_id)
        if name not in operations or not (self.performed or operations[name].concerns(self.subscriber)):
            raise Http404(f"There is no {name} of {self.subscriber}.")
        self.kind = operations[name]
        if not self.kind.is_allowed(request.user):
            raise PermissionDenied
        said = request.POST if request.method == "POST" else request.GET
        self.form = OperationForm(self.kind, said)
        self.reason = ReasonForm(request.POST or None) if self.kind.needs_reason else None
        self.back = _safe(request, said.get("next", "")) or _home(request, self.subscriber)

    def get(self, request: HttpRequest, **_: Any) -> HttpResponse:
        said = {name: value for name, value in request.GET.items() if name in self.form.fields}
        if "change" in request.GET or not (said or self.form.is_valid()):
            self.form = OperationForm(self.kind, initial=said)
            return self._ask()
        return self._confirm() if self.form.is_valid() else self._ask()

    def post(self, request: HttpRequest, **_: Any) -> HttpResponse:
        """What was sent twice is answered with what became of it the first time."""
        if self.performed is not None:
            return self._done(self.performed)
        if not self.form.is_valid():
            return self._ask()
        if self.reason is not None and not self.reason.is_valid():
            return self._confirm()
        reason = self.reason.cleaned_data["reason"] if self.reason is not None else ""
        try:
            by = request.user.get_username()
            return self._done(perform(self._asked(), by=by, reason=reason, request_id=self.request_id))
        except EventstoreError as refusal:
            return self._confirm(refusal)

    def _done(self, outcome: str) -> HttpResponse:
        tell = messages.warning if isinstance(outcome, FellShort) else messages.success
        tell(self.request, f"{self.subscriber}: {outcome}.")
        there = self.kind.concerns(self.subscriber)
        return redirect(self.back if there else _home(self.request, self.subscriber))

    def _asked(self) -> Operation:
        return make_operation(self.kind, self.subscriber, self.form.cleaned_data)

    def _ask(self) -> HttpResponse:
        return self._page("eventstore/admin/ask.html", {})

    def _confirm(self, refusal: EventstoreError | None = None) -> HttpResponse:
        previews = []
        try:
            previews = [self._asked().preview()]
        except EventstoreError as foreseeable:
            refusal = refusal or foreseeable
        said = [(field, self.form.cleaned_data[field.name]) for field in self.form]
        shown = {
            "previews": previews,
            "refusal": refusal,
            "facts": [(field.label, _shown(value)) for field, value in said if value not in (None, "", (), False)],
            "hidden": [drawn(), *((field.html_name, field.value() or "") for field in self.form)],
            "change": self._change(said) if said else "",
            "reason": self.reason,
        }
        return self._page("eventstore/admin/confirm.html", shown)

    def _change(self, said: list[tuple[Any, Any]]) -> str:
        """The page that asks, as it was answered."""
        answers = {field.html_name: field.value() or "" for field, _ in said}
        return f"{self.request.path}?{urlencode({**answers, 'change': '', 'next': self.back})}"

    def _page(self, template: str, context: dict[str, Any]) -> HttpResponse:
        shown = {
            **self.site.each_context(self.request),
            "title": f"{self.kind.verb}: {self.subscriber}",
            "verb": self.kind.verb,
            "explained": (self.kind.__doc__ or "").strip(),
            "form": self.form,
            "back": self.back,
            **context,
        }
        return TemplateResponse(self.request, template, shown)


def _shown(value: Any) -> str:
    if value is True:
        return "yes"
    return ", ".join(map(_shown, value)) if isinstance(value, tuple) else str(value)


def _safe(request: HttpRequest, url: str) -> str:
    """An address of this site, or nothing."""
    allowed = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if allowed else ""


def _home(request: HttpRequest, subscriber: str) -> str:
    known = subscriber in {each.name for each in registry}
    if known and request.user.has_perm("eventstore.view_subscriberrow"):
        return reverse("admin:eventstore_subscriber", args=[subscriber])
    return reverse("admin:index")
