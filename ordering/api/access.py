"""Who calls, and what they may see and touch."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from eventstore.errors import StreamNotFound
from eventstore.middleware import ANONYMOUS
from ordering.models import CustomerAccount

STOREFRONT = "storefront"


class TokenAuthentication(KnoxTokenAuthentication):
    """Knox, for headers that hold anything."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)


class Caller:
    """Customers see and touch only their own; the group *storefront* acts for any customer; staff see all."""

    def __init__(self, user: AbstractBaseUser | AnonymousUser) -> None:
        self.user: Any = user

    @cached_property
    def customer_id(self) -> UUID | None:
        if not self.user.is_authenticated:
            return None
        return CustomerAccount.objects.filter(user=self.user).values_list("customer_id", flat=True).first()

    @cached_property
    def acts_for_any(self) -> bool:
        return self.user.is_superuser or self.user.groups.filter(name=STOREFRONT).exists()

    @property
    def is_staff(self) -> bool:
        return bool(self.user.is_staff or self.user.is_superuser)

    @property
    def sees_all(self) -> bool:
        return self.user.is_staff or self.acts_for_any

    @property
    def actor(self) -> str:
        """How events name this caller."""
        if not self.user.is_authenticated:
            return ANONYMOUS
        return f"customer:{self.customer_id}" if self.customer_id else f"user:{self.user.pk}"

    def may_act_for(self, customer_id: UUID) -> bool:
        return customer_id == self.customer_id or self.acts_for_any

    def must_see(self, customer_id: UUID) -> None:
        """Raises `StreamNotFound`: what is somebody else's does not exist."""
        if customer_id != self.customer_id and not self.sees_all:
            raise StreamNotFound

    def must_touch(self, customer_id: UUID) -> None:
        """Raises `StreamNotFound`, or `PermissionDenied` for staff, who can see it."""
        self.must_see(customer_id)
        if not self.may_act_for(customer_id):
            raise PermissionDenied


class RegistrationThrottle(SimpleRateThrottle):
    """For an address on the network; not for those who register others."""

    scope = "register"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if request.user.is_authenticated and Caller(request.user).sees_all:
            return None
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class LoginThrottle(SimpleRateThrottle):
    """For an address on the network, whatever login it tries."""

    scope = "token"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}
