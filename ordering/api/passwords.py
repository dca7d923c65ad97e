"""What a new password must be, and what it means for those who are signed in."""

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from knox.models import AuthToken


class EndsTokens:
    """A password validator that minds no password: with a new one, the tokens that were given for the old are over.

    Django tells validators of a change of password alone, and not where it only hashes the same one better.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        """All are as good as the other validators say."""

    def password_changed(self, password: str, user: User) -> None:
        AuthToken.objects.filter(user=user).delete()

    def get_help_text(self) -> str:
        return "Whoever is signed in with a token has to sign in again."


class MoreThanSpaces:
    """A password validator."""

    def validate(self, password: str, user: User | None = None) -> None:
        if password.isspace():
            raise ValidationError("A password has more than spaces.", "blank")

    def get_help_text(self) -> str:
        return "Your password has more than spaces."
