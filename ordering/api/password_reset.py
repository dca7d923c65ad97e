"""A password that was forgotten: a mail is asked for, and its link gives another one."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as Unfit
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.request import Request
from rest_framework.response import Response

from ordering import mailed_links, network, password_reset, sign_in
from ordering.api.open_calls import InvalidToken, OpenCall
from ordering.api.refusals import refuses
from ordering.api.serializers import Email, Shape, Text, shaped
from ordering.brakes import Braked
from ordering.domain.password_reset import RequestPasswordReset
from ordering.mailed_links import LinkOver


class ResetShape(Shape):
    email = Email()


class NewPasswordShape(Shape):
    token = Text(max_length=200, help_text="what stands at the end of the link of the mail")
    password = Text(max_length=256, trim_whitespace=False, write_only=True)


class Reset(OpenCall):
    @refuses(Braked)
    @extend_schema(request=ResetShape, responses={202: None})
    def post(self, request: Request) -> Response:
        """Asks for a mail with a link to a new password. It is carried out alike for an address that nobody has."""
        email = shaped(ResetShape, request.data)["email"]
        mailed_links.count(network.of(request._request), email)
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
