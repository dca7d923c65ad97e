"""Where a customer confirms an address, behind the link of a mail to it.

Programs that look through mails open all links, so nothing happens until a button is pressed.
"""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from ordering import email_confirmation, network
from ordering.brakes import Braked
from ordering.mailed_links import LinkOver
from ordering.pages.serving import WITH_FORMS, page


@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def email(request: HttpRequest, token: str) -> HttpResponse:
    """The button, until it was pressed. Once the link is over, one that sends another mail."""
    do = request.POST.get("do") if request.method == "POST" else None
    try:
        if do == "send":
            return _another(request, token)
        if do == "confirm":
            email_confirmation.confirm(token)
            return HttpResponseRedirect(request.path, headers=WITH_FORMS)
    except LinkOver:
        pass  # it is shown as what has become of it
    return _shown(request, token)


def _shown(request: HttpRequest, token: str) -> HttpResponse:
    try:
        customer = email_confirmation.bearer(token)
    except LinkOver:
        return _over(request, token)
    if customer.email_confirmed:
        return page("email_confirmed", 200)
    return page("email", 200, request=request, email=customer.email)


def _over(request: HttpRequest, token: str) -> HttpResponse:
    try:
        email_confirmation.former_bearer(token)
    except LinkOver:
        return page("not_found", 404)
    return page("email_link_over", 404, request=request)


def _another(request: HttpRequest, token: str) -> HttpResponse:
    """Says the same, whether or not there is anything left to confirm. Raises `LinkOver`."""
    try:
        email_confirmation.send_another(token, network.of(request))
    except Braked as braked:
        response = page("email_link_over", 429, request=request, refusal=str(braked))
        response.headers["Retry-After"] = str(braked.seconds)
        return response
    return page("email_link_sent", 200)
