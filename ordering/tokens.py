"""The tokens of a login: when each was last used, what it may do, and how they end."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.models import AuthToken

from ordering.models import MachineToken, TokenUse

MACHINE = "machine"
"""What tokens with scopes begin with, and no others: these are all hexadecimal. So the others need no look-up."""

WAIT_FOR_NOBODY = "SELECT set_config('lock_timeout', '100ms', true)"
"""Has this transaction give up a lock that others hold: no call waits because it is noted that it was made."""


class Noted:
    """Which tokens this process has noted in this hour: the others take a write, and these nothing."""

    def __init__(self) -> None:
        self._hour: datetime | None = None
        self._digests: set[str] = set()

    def note(self, token: AuthToken) -> None:
        """That a token is used. Raises `IntegrityError` if it has been revoked meanwhile."""
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._hour, self._digests = hour, set()
        if token.digest in self._digests:
            return
        self._digests.add(token.digest)  # where it can't be noted, that isn't tried again with each call
        use = TokenUse(token=token, used_at=hour)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(WAIT_FOR_NOBODY)
            TokenUse.objects.bulk_create(
                [use], update_conflicts=True, unique_fields=["token"], update_fields=["used_at"]
            )


NOTED = Noted()


def good_ones(user: Any) -> QuerySet[AuthToken]:
    """Those that open something now, the newest first."""
    good = Q(expiry=None) | Q(expiry__gt=timezone.now())
    found: QuerySet[AuthToken] = AuthToken.objects.filter(good, user=user)
    return found.select_related("use", "machine").order_by("-created", "digest")


def id_of(token: AuthToken) -> UUID:
    """What a token is called: the beginning of its digest, from which nobody gets to the token."""
    return UUID(token.digest[:32])


def called(user: Any, token_id: UUID) -> QuerySet[AuthToken]:
    """The one of somebody's that is called so, if there is one."""
    found: QuerySet[AuthToken] = AuthToken.objects.filter(user=user, digest__startswith=token_id.hex)
    return found


def last_used(token: AuthToken) -> datetime | None:
    """To the hour; None before it is used."""
    return token.use.used_at if hasattr(token, "use") else None


def scopes_of(token: AuthToken) -> frozenset[str] | None:
    """What a token may do; None for all that its user may."""
    if not token.token_key.startswith(MACHINE):
        return None
    machine = MachineToken.objects.filter(pk=token.pk).first()
    return frozenset(machine.scopes) if machine else frozenset()
