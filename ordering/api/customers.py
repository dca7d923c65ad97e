"""Customers: registering, reading, changing."""

from contextlib import suppress
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import repository, store
from eventstore.commands import Receipt
from eventstore.errors import ConcurrencyConflict, StreamExists
from eventstore.preview import Preview
from ordering import sign_in
from ordering.api import log_reads, logins
from ordering.api.access import RegistrationThrottle
from ordering.api.customer_shapes import AddressShape, BirthDate, NewCustomerShape, typed
from ordering.api.parsers import Json, MergePatch
from ordering.api.refusals import refuses
from ordering.api.serializers import Email, Line, PendingShape, Shape, Text, shaped
from ordering.api.views import View, etag_of
from ordering.brakes import Braked
from ordering.domain.customer import ChangeCustomer, Customer, RegisterCustomer
from ordering.domain.errors import EmailTaken
from ordering.domain.values import Address
from ordering.models import CustomerProfile
from ordering.projections.customer import CustomerProfiles

PROFILES = CustomerProfiles()

MERGES = 50
"""How often a part of an address is merged with the rest, of which somebody else changes another part each time."""


class RegisterShape(NewCustomerShape):
    password = Text(required=False, max_length=256, trim_whitespace=False, write_only=True)

    def validate_password(self, password: str) -> str:
        email = str(self.initial_data.get("email", ""))
        validate_password(password, User(username=email, email=email))
        return password


class ChangeShape(Shape):
    name = Line(required=False, max_length=200)
    email = Email(required=False)
    birth_date = BirthDate(required=False, allow_null=True)
    address = AddressShape(required=False, allow_null=True)


class CustomerShape(Shape):
    id = serializers.UUIDField(source="customer_id")
    name = serializers.CharField()
    email = serializers.CharField()
    email_confirmed = serializers.BooleanField(help_text="by the link of a mail to this address")
    birth_date = serializers.DateField(allow_null=True)
    address = AddressShape(allow_null=True)
    registered_at = serializers.DateTimeField()


class ChangedShape(CustomerShape):
    recorded = serializers.ListField(child=serializers.CharField(), help_text="the types of the events recorded")


class Customers(View):
    scope = "customers"
    permission_classes = [AllowAny]
    throttle_classes = [RegistrationThrottle]  # counts dry runs too, which tell as much of taken addresses

    @refuses(EmailTaken, StreamExists, Braked)
    @extend_schema(request=RegisterShape, responses={201: CustomerShape})
    def post(self, request: Request) -> Response:
        """Registers a customer; open to anyone. The password goes to the login, never into an event."""
        values = shaped(RegisterShape, request.data)
        password = values.pop("password", None)
        customer_id = values.pop("id", None) or self.new_id()
        logins.must_be_free(values["email"], customer_id)
        receipt = self.create(RegisterCustomer(customer_id=customer_id, **typed(values)))
        with sign_in.comparing(request._request, logins.name_of(customer_id)):
            logins.open_for(customer_id, password)
        # As it was registered, even if it has changed since: a repeat is answered as the first time.
        events = store.read_stream(customer_id)
        profile = log_reads.folded(PROFILES, customer_id, events[: len(receipt.recorded)])
        location = request.build_absolute_uri(reverse("customer", args=[customer_id]))
        return self.written(receipt, CustomerShape.of(profile), profile.version, status=201, location=location)

    def would_mean(self, foreseen: Preview) -> dict[str, Any]:
        """Nothing more. Raises what opening the login would, and counts as an attempt to guess its password as well."""
        customer_id, given = foreseen.stream_id, cast("dict[str, Any]", self.request.data)
        with sign_in.comparing(self.request._request, logins.name_of(customer_id)):
            logins.is_open(customer_id, given.get("password"))
        return {}


class CustomerView(View):
    """Of one customer, whom its path names."""

    scope = "customers"

    def current(self) -> str:
        customer_id = self.kwargs["customer_id"]
        profile = log_reads.folded(PROFILES, customer_id, store.read_stream(customer_id))
        return etag_of(CustomerShape.of(profile), profile.version)

    def as_changed(self, receipt: Receipt, *, status: int = 200, **more: Any) -> Response:
        """The customer after a command."""
        profile = _profile(receipt)
        return self.written(receipt, CustomerShape.of(profile), profile.version, status=status, **more)


class OneCustomer(CustomerView):
    reads = (CustomerProfiles,)
    permission_classes = [IsAuthenticated]
    parser_classes = [Json, MergePatch]
    tagged = True

    @extend_schema(responses={200: CustomerShape, 202: PendingShape})
    def get(self, request: Request, customer_id: UUID) -> Response:
        """What is known of a customer."""
        self.caller.must_see(customer_id, CustomerProfile)
        profile = CustomerProfile.objects.filter(pk=customer_id).first()
        if profile is None:
            repository.get(Customer, customer_id)
            return self.pending(customer_id, PROFILES.name)
        return self.shown(CustomerShape.of(profile), profile.version)

    @refuses(EmailTaken, PermissionDenied)
    @extend_schema(
        request={"application/json": ChangeShape, "application/merge-patch+json": ChangeShape},
        responses={200: ChangedShape},
    )
    def patch(self, request: Request, customer_id: UUID) -> Response:
        """Changes a customer. A JSON merge patch (RFC 7396): what is left out stays, null clears."""
        self.caller.must_touch(customer_id, CustomerProfile)
        receipt = self._change(request, customer_id)
        if "email" in cast("dict[str, Any]", request.data):
            logins.follow(customer_id)
        return self.as_changed(receipt, recorded=[event.stored for event in receipt.recorded])

    def _change(self, request: Request, customer_id: UUID) -> Receipt:
        """What a part of an address was merged with is what the decision must be made on: if somebody else was sooner
        it is merged again.
        """
        if not _has_address(request.data):
            return self.send(self._asked(request.data, customer_id))
        for _ in range(MERGES):
            customer = repository.get(Customer, customer_id)
            body = _with_merged_address(request.data, customer.address)
            with suppress(ConcurrencyConflict):
                return self.send(self._asked(body, customer_id), if_version=customer.version)
        raise ConcurrencyConflict

    def _asked(self, body: Any, customer_id: UUID) -> ChangeCustomer:
        values = shaped(ChangeShape, body)
        if "email" in values:
            logins.must_be_free(values["email"], customer_id)
        return ChangeCustomer(customer_id=customer_id, **typed(values))


def _profile(receipt: Receipt) -> CustomerProfile:
    """The row, or while its projection is behind, what it will be."""
    customer_id = receipt.stream_id
    profile = log_reads.written(PROFILES, customer_id, receipt.version)
    return profile or log_reads.folded(PROFILES, customer_id, store.read_stream(customer_id))


def _has_address(patch: Any) -> bool:
    """Whether it may change a part of one."""
    return isinstance(patch, dict) and isinstance(patch.get("address"), dict)


def _with_merged_address(patch: Any, address: Address | None) -> Any:
    """The patch with the whole of the new address."""
    if address is None:
        return patch
    known = {name: getattr(address, name) for name in address.__struct_fields__}
    merged = {name: value for name, value in {**known, **patch["address"]}.items() if value is not None}
    return {**patch, "address": merged}
