"""Who calls, and what they may see and touch."""

from functools import cached_property
from typing import Any
from uuid import UUID

import structlog
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, IntegrityError
from django.db.models import Model
from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from eventstore.errors import StreamNotFound
from eventstore.middleware import ANONYMOUS
from eventstore.transient_errors import is_infrastructure
from ordering import conf, network
from ordering.brakes import Brake, Braked
from ordering.models import CustomerAccount
from ordering.tokens import NOTED, scopes_of

log = structlog.get_logger(__name__)

STOREFRONT = "storefront"
SCOPES = (
    *("conferences:read", "consumers:read", "consumers:write", "customers:read", "customers:write", "events:read"),
    *("orders:read", "orders:write", "tokens:read", "tokens:write", "waitlist:read", "waitlist:write"),
    *("webhooks:read", "webhooks:write"),
)
"""What a token can be restricted to: of all calls, what they are about, and whether they only read it."""

REGISTRATIONS = Brake(conf.THROTTLE_REGISTER)


class TokenAuthentication(KnoxTokenAuthentication):
    """Knox, for headers that hold anything, and with one query, which brings the caller's customer too: on its own it
    looks at all tokens of the caller with each call. A token is looked up by its digest, at which nobody can aim. It is
    kept when each was last used.
    """

    def authenticate_credentials(self, token: bytes) -> Any:
        digest = hash_token(token.decode()) if token.isalnum() else ""
        known = AuthToken.objects.select_related("user__customer").filter(digest=digest).first()
        if known is None or (known.expiry is not None and known.expiry < timezone.now()):
            raise AuthenticationFailed("Invalid token.")
        user, _ = self.validate_user(known)
        try:
            NOTED.note(known)
        except IntegrityError:
            raise AuthenticationFailed("Invalid token.") from None
        except DatabaseError as error:  # nobody is kept from reading where nothing can be written
            if not is_infrastructure(error):
                raise
            log.warning("token_use_not_noted", error=type(error).__name__)
        return user, known


class Caller:
    """Customers see and touch only their own; the group *storefront* acts for any customer; staff see what they may see
    in the admin.
    """

    def __init__(self, user: AbstractBaseUser | AnonymousUser) -> None:
        self.user: Any = user

    @cached_property
    def customer_id(self) -> UUID | None:
        account: CustomerAccount | None = getattr(self.user, "customer", None)
        return None if account is None else account.customer_id

    @cached_property
    def acts_for_any(self) -> bool:
        return self.user.is_superuser or self.user.groups.filter(name=STOREFRONT).exists()

    @property
    def is_staff(self) -> bool:
        return bool(self.user.is_staff or self.user.is_superuser)

    def sees_all_of(self, rows: type[Model]) -> bool:
        """Whether they see every row of a read model, whichever customer it is about."""
        permission = f"ordering.view_{rows._meta.model_name}"
        return self.acts_for_any or bool(self.user.is_staff and self.user.has_perm(permission))

    @property
    def actor(self) -> str:
        """How events name this caller."""
        if not self.user.is_authenticated:
            return ANONYMOUS
        return f"customer:{self.customer_id}" if self.customer_id else f"user:{self.user.pk}"

    def may_act_for(self, customer_id: UUID) -> bool:
        return customer_id == self.customer_id or self.acts_for_any

    def must_see(self, customer_id: UUID, rows: type[Model]) -> None:
        """Raises `StreamNotFound`: what is somebody else's does not exist, but for who sees all of its read model."""
        if customer_id != self.customer_id and not self.sees_all_of(rows):
            raise StreamNotFound

    def must_touch(self, customer_id: UUID, rows: type[Model]) -> None:
        """Raises `StreamNotFound`, or `PermissionDenied` for staff, who can see it."""
        self.must_see(customer_id, rows)
        if not self.may_act_for(customer_id):
            raise PermissionDenied


class InsufficientScope(PermissionDenied):
    default_code = "insufficient-scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This token has no scope {scope}.")


def scope_of(about: str | None, method: str) -> str | None:
    """The scope that a call needs; None where every token will do."""
    return about and f"{about}:{'read' if method in SAFE_METHODS else 'write'}"


def must_be_in_scope(request: Request, about: str | None) -> None:
    """Raises `InsufficientScope` for a token that is restricted to scopes without that of this call."""
    needed = scope_of(about, str(request.method))
    if needed is None or not isinstance(request.auth, AuthToken):
        return
    given = scopes_of(request.auth)
    if given is not None and needed not in given:
        raise InsufficientScope(needed)


class RegistrationThrottle(BaseThrottle):
    """For a place on the network; not for those who register others."""

    _wait: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        caller = Caller(request.user)
        if request.user.is_authenticated and (caller.is_staff or caller.acts_for_any):
            return True
        try:
            REGISTRATIONS.count(network.of(request._request))
        except Braked as braked:
            self._wait = braked.seconds
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait
