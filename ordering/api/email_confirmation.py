"""An address that is to be confirmed: by the token of a mail, and another mail for who is signed in."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import repository
from ordering import email_confirmation, mailed_links, network
from ordering.api.customers import CustomerShape, CustomerView
from ordering.api.open_calls import InvalidToken, OpenCall
from ordering.api.refusals import refuses
from ordering.api.serializers import Shape, Text, shaped
from ordering.brakes import Braked
from ordering.domain.customer import Customer, RequestEmailLink
from ordering.mailed_links import LinkOver
from ordering.models import CustomerProfile


class ConfirmationShape(Shape):
    token = Text(max_length=200, help_text="what stands at the end of the link of the mail")


class Confirmation(OpenCall):
    @refuses(InvalidToken)
    @extend_schema(request=ConfirmationShape, responses={204: None})
    def post(self, request: Request) -> Response:
        """Confirms a customer's address by the token of a mail, once."""
        try:
            email_confirmation.confirm(shaped(ConfirmationShape, request.data)["token"])
        except LinkOver:
            raise InvalidToken from None
        return Response(status=204)


class EmailLink(CustomerView):
    permission_classes = [IsAuthenticated]

    @refuses(PermissionDenied, Braked)
    @extend_schema(request=None, responses={202: CustomerShape})
    def post(self, request: Request, customer_id: UUID) -> Response:
        """Asks for another mail with a link that confirms the address. There is none once it is confirmed."""
        self.caller.must_touch(customer_id, CustomerProfile)
        if not self.dry_run:
            mailed_links.count(network.of(request._request), repository.get(Customer, customer_id).email)
        return self.as_changed(self.send(RequestEmailLink(customer_id=customer_id)), status=202)
