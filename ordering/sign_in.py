"""Signing in with a password, and what keeps others from guessing it.

Every attempt is counted before the password is looked at, whether or not there is such a login: for where it comes
from, and, as long as it isn't known to be right, for the login. Whoever comes from a *known place* is counted apart, so
nobody locks somebody else out by guessing: strangers use up what strangers have. A place is known by a signed cookie
that came with an earlier sign-in to this login, or, for clients of the API that keep no cookies, by the address that
came from. These are the device cookies of OWASP:
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unicodedata import normalize

import structlog
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import get_random_string

from ordering import brakes, conf, network
from ordering.brakes import Brake, Braked
from ordering.domain.mailbox import mailbox_of

log = structlog.get_logger(__name__)

COOKIE = "device"
KNOWN_FOR = timedelta(days=90)
STRANGERS = "strangers"

PLACES = Brake(conf.THROTTLE_TOKEN)
LOGINS = Brake(conf.THROTTLE_ACCOUNT)


class Attempt:
    """To sign in to this login, by a request; or from a `place` that is known otherwise."""

    def __init__(self, request: HttpRequest, login: str, *, place: str | None = None) -> None:
        self._typed = login
        self._login = mailbox_of(normalize("NFKC", login))
        self._network = network.of(request)
        self._place = place or self._place_of(request.COOKIES.get(COOKIE, ""))

    def count(self) -> None:
        """Raises `Braked`, whatever the password is, if there were too many.

        While Redis is away, strangers are counted by where they come from only: who is one can't be told then.
        """
        is_known = self._place is not None
        try:
            PLACES.count(*((self._login, self._place) if self._place else (self._network,)))
            LOGINS.count(self._login, self._place or STRANGERS, alone=is_known)
        except Braked as braked:
            log.warning("sign_in_braked", **self._told(), known_place=is_known, seconds=braked.seconds)
            raise

    def uncount(self) -> None:
        """The password was right."""
        LOGINS.uncount(self._login, self._place or STRANGERS)

    def remember(self, response: HttpResponseBase) -> None:
        """Where this came from is a known place from now on."""
        brakes.remember(self._login, self._network, seconds=KNOWN_FOR.total_seconds())
        response.set_cookie(
            COOKIE,
            self._signer.sign(get_random_string(22)),
            max_age=KNOWN_FOR,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )

    def _place_of(self, cookie: str) -> str | None:
        try:
            return self._signer.unsign(cookie, max_age=KNOWN_FOR)
        except BadSignature:
            return self._network if brakes.remembers(self._login, self._network) else None

    @property
    def _signer(self) -> TimestampSigner:
        """What it signs for one login is nothing to another."""
        return TimestampSigner(salt=f"ordering.sign_in {self._login}")

    def _told(self) -> dict[str, Any]:
        """Who and where, as a log line may say it."""
        user = get_user_model().objects.filter(username=self._typed).values_list("pk", flat=True).first()
        return {"user": user, "source": brakes.keyed(self._network)[:12]}


@contextmanager
def comparing(request: HttpRequest, login: str | None) -> Iterator[None]:
    """Inside, a password is compared with that of this login, if there is one, and whatever is raised says that it is
    another. Raises `Braked`.
    """
    if login is None:
        yield
        return
    attempt = Attempt(request, login)
    attempt.count()
    yield
    attempt.uncount()


class Brakes:
    """An authentication backend, the first one: it lets nobody in, and keeps out who has guessed too often. For Django
    their password is wrong; `braked` says what is.
    """

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **_: Any) -> None:
        if request is None or username is None:
            return
        attempt = Attempt(request, username)
        try:
            attempt.count()
        except Braked as refusal:
            request.braked = refusal  # type: ignore[attr-defined]
            raise PermissionDenied from refusal
        request.attempt = attempt  # type: ignore[attr-defined]


def braked(request: HttpRequest) -> Braked | None:
    """Why nobody was let in, if it wasn't for the password."""
    return getattr(request, "braked", None)


def succeeded(request: HttpRequest, response: HttpResponseBase) -> None:
    """Somebody is signed in, as this will answer."""
    attempt: Attempt = request.attempt  # type: ignore[attr-defined]
    attempt.uncount()
    attempt.remember(response)
