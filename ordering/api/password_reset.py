"""A password that was forgotten: a mail is asked for, and its link gives another one."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as Unfit
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from ordering import network, password_reset, sign_in
from ordering.api.dry_run import NoDryRunQuery
from ordering.api.refusals import refuses
from ordering.api.serializers import Email, Shape, Text, shaped
from ordering.api.views import View
from ordering.brakes import Braked
from ordering.domain.password_reset import RequestPasswordReset
from ordering.password_reset import LinkOver


class InvalidToken(APIException):
    """Says the same of a token that was used, has expired, or was never ours."""

    status_code = 400
    default_code = "invalid-token"
    default_detail = "This token is not good, or not any more. Ask for another mail."


class ResetShape(Shape):
    email = Email()


class NewPasswordShape(Shape):
    token = Text(max_length=200, help_text="what stands at the end of the link of the mail")
    password = Text(max_length=256, trim_whitespace=False, write_only=True)


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


class Reset(OpenCall):
    @refuses(Braked)
    @extend_schema(request=ResetShape, responses={202: None})
    def post(self, request: Request) -> Response:
        """Asks for a mail with a link to a new password. It is carried out alike for an address that nobody has."""
        email = shaped(ResetShape, request.data)["email"]
        password_reset.count(network.of(request._request), email)
        self.send(RequestPasswordReset(reset_id=self.new_id(), mailbox=password_reset.hash_of(email)))
        return Response(status=202)


class NewPassword(OpenCall):
    @refuses(InvalidToken)
    @extend_schema(request=NewPasswordShape, responses={204: None})
    def post(self, request: Request) -> Response:
        """Sets a password by the token of a mail, once. All who are signed in have to sign in again."""
        values = shaped(NewPasswordShape, request.data)
        try:
            validate_password(values["password"], password_reset.bearer(values["token"]))
            user = password_reset.choose(values["token"], values["password"])
        except LinkOver:
            raise InvalidToken from None
        except Unfit as unfit:
            raise ValidationError({"password": get_error_detail(unfit)}) from None
        response = Response(status=204)
        sign_in.Attempt(request._request, user.username).remember(response)
        return response
