"""The admin's page to sign in, which says so where it was tried too often."""

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from ordering import sign_in


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # Unfold has no types
    def get_invalid_login_error(self) -> ValidationError:
        if braked := sign_in.braked(self.request):
            return ValidationError(str(braked), code="braked")
        error: ValidationError = super().get_invalid_login_error()
        return error
