"""Where a customer chooses a new password, behind the link of a mail."""

from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from ordering import password_reset, sign_in
from ordering.mailed_links import LinkOver
from ordering.pages.serving import page


@sensitive_post_parameters()
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest, token: str) -> HttpResponse:
    """The form, until a password was chosen. To open the page changes nothing: programs do that look through mails."""
    try:
        user = password_reset.bearer(token)
        form = SetPasswordForm(user, request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return page("password", 400 if form.is_bound else 200, request=request, form=form, login=user.email)
        user = password_reset.choose(token, form.cleaned_data["new_password1"])
    except LinkOver:
        return page("password_link_over", 404)
    response = page("password_chosen", 200)
    sign_in.Attempt(request, user.username).remember(response)
    return response
