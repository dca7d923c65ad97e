"""Which database the log is in, and the button that lets a copy of it act."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from eventstore.admin.lists import ReadOnlyAdmin
from eventstore.admin.row_actions import row_action
from eventstore.identity import identity
from eventstore.models import LogIdentity, OperatorAction
from eventstore.operations.identity import LOG, Confirm


@admin.register(LogIdentity)
class LogIdentityAdmin(ReadOnlyAdmin):
    """The one row there is, beside what the server tells."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = identity()
        may_confirm = found.is_fenced and request.user.has_perm(Confirm.permission)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Identity of the log",
            "found": found,
            "offer": row_action(Confirm.verb, Confirm, LOG, back=request.path) if may_confirm else None,
            "actions": OperatorAction.objects.filter(target=LOG).order_by("-id")[:20],
        }
        return TemplateResponse(request, "eventstore/admin/identity.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.changelist_view(request)
