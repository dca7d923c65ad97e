"""Tokens: proof that somebody knew the password, good for a while."""

from typing import Any
from uuid import UUID

from django.contrib.auth import authenticate, get_user_model
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore.errors import StreamNotFound
from ordering import sign_in, tokens
from ordering.api.access import SCOPES, TokenAuthentication
from ordering.api.dry_run import NoDryRunQuery
from ordering.api.refusals import refuses
from ordering.api.serializers import Shape, Text, shaped
from ordering.api.views import View
from ordering.brakes import Braked
from ordering.domain.mailbox import mailbox_of

MOST_SHOWN = 200


class InvalidCredentials(APIException):
    """Says the same whether the address or the password is wrong, or the login may not be used."""

    status_code = 401
    default_code = "invalid-credentials"
    default_detail = "There is no such login, or its password is another."
    auth_header = "Token"


class CredentialsShape(Shape):
    email = Text(max_length=254, help_text="or the user name of staff")
    password = Text(max_length=256, trim_whitespace=False)


class TokenShape(Shape):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class KnownTokenShape(Shape):
    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="the beginning of the hour")
    name = serializers.CharField(allow_null=True, help_text="of a token for a machine")
    scopes: Any = serializers.ListField(
        child=serializers.ChoiceField(SCOPES),
        allow_null=True,
        help_text="null for all that its user may",
    )
    current = serializers.BooleanField(help_text="whether this call was made with it")


class TokenList(Shape):
    results = KnownTokenShape(many=True)


class Token(View):
    """A call for a token needs none, and is not hindered by one that has expired. No token is kept to be told again: a
    repeat gets another.
    """

    scope = None
    takes_key = False

    records = False

    write_query = NoDryRunQuery

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [TokenAuthentication()] if self._revokes else []

    def get_permissions(self) -> list[BasePermission]:
        return [IsAuthenticated() if self._revokes else AllowAny()]

    @refuses(InvalidCredentials, Braked)
    @extend_schema(request=CredentialsShape, responses={201: TokenShape})
    def post(self, request: Request) -> Response:
        """Makes a token, and forgets those of the login that have expired.

        Takes as long for an address that nobody has: Django hashes the password all the same.
        """
        values = shaped(CredentialsShape, request.data)
        user = authenticate(request._request, username=_username(values["email"]), password=values["password"])
        if user is None:
            raise sign_in.braked(request._request) or InvalidCredentials
        AuthToken.objects.filter(user=user, expiry__lt=timezone.now()).delete()
        token, secret = AuthToken.objects.create(user=user)
        response = Response(TokenShape.of({"token": secret, "expires_at": token.expiry}), status=201)
        sign_in.succeeded(request._request, response)
        return response

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revokes the token that the call was made with."""
        request.auth.delete()
        return Response(status=204)

    @property
    def _revokes(self) -> bool:
        return getattr(self.request, "method", None) == "DELETE"


class TokensView(View):
    """Of the caller's own tokens. To revoke what is revoked changes nothing, so these calls take no key."""

    scope = "tokens"
    takes_key = False
    records = False
    write_query = NoDryRunQuery


class Tokens(TokensView):
    reads = ()

    @extend_schema(operation_id="auth_tokens_list", responses={200: TokenList})
    def get(self, request: Request) -> Response:
        """Those that are good, the newest first, 200 at most. None is told again."""
        known = [_known(token, request.auth) for token in tokens.good_ones(request.user)[:MOST_SHOWN]]
        return Response(TokenList({"results": known}).data)

    @extend_schema(operation_id="auth_tokens_destroy_all", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Signs out everywhere: revokes all, also that which the call was made with."""
        AuthToken.objects.filter(user=request.user).delete()
        return Response(status=204)


class OneToken(TokensView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revokes one of the caller's own."""
        if not tokens.called(request.user, token_id).delete()[0]:
            raise StreamNotFound
        return Response(status=204)


def _known(token: AuthToken, current: AuthToken) -> dict[str, Any]:
    machine = getattr(token, "machine", None)
    return {
        "id": tokens.id_of(token),
        "created_at": token.created,
        "expires_at": token.expiry,
        "last_used_at": tokens.last_used(token),
        "name": machine and machine.name,
        "scopes": machine and machine.scopes,
        "current": token == current,
    }


def _username(typed: str) -> str:
    """Customers' logins are named after their mailboxes; those of staff as somebody chose."""
    exact = typed.strip()
    return exact if get_user_model().objects.filter(username=exact).exists() else mailbox_of(exact)
