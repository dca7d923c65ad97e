"""Calls of who can't sign in: what allows them is the token of a mail, or they ask for one."""

from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny

from ordering.api.dry_run import NoDryRunQuery
from ordering.api.views import View


class InvalidToken(APIException):
    """Says the same of a token that was used, has expired, or was never ours."""

    status_code = 400
    default_code = "invalid-token"
    default_detail = "This token is not good, or not any more. Ask for another mail."


class OpenCall(View):
    """Made by who has no token, and is not hindered by one that has expired. Nothing of it is told or kept: neither
    what it records, nor its answer for a repeat.
    """

    scope = None
    authentication_classes = []
    permission_classes = [AllowAny]
    takes_key = False
    records = False
    write_query = NoDryRunQuery
