"""Customers from a file, each by the command that registers one: what the API refuses is refused here."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventstore.aggregates import Command
from eventstore.imports.importer import Importer, LineRefused, flattened
from eventstore.imports.lines import Fault
from ordering.domain.customer import RegisterCustomer
from ordering.domain.errors import EmailTaken
from ordering.domain.mailbox import mailbox_of

if TYPE_CHECKING:
    from ordering.api.customer_shapes import NewCustomerShape

WELCOME = "welcome"
"""The option to greet the imported with a mail. Without it they aren't: they were customers before."""


class Customers(Importer):
    """The shape is that of the API, the rules are those of the aggregate."""

    name = "customers"
    columns = {
        **{column: column for column in ("name", "email", "birth_date")},
        **{column: f"address.{column}" for column in ("street", "postal_code", "city", "country")},
        "id": "id",
    }
    needed = ("name", "email")
    claims = {"email": "email"}
    choices = {WELCOME: "greet each of them with a mail"}

    def command(self, stream_id: UUID, values: Mapping[str, Any], options: Mapping[str, Any]) -> RegisterCustomer:
        from rest_framework.exceptions import ValidationError  # only who imports needs it

        from ordering.api.customer_shapes import typed

        try:
            given = _shape().run_validation(values)
        except ValidationError as error:
            raise LineRefused([*flattened(error.detail)]) from None
        customer_id = given.pop("id", stream_id)
        return RegisterCustomer(customer_id=customer_id, welcome=options.get(WELCOME, False), **typed(given))

    def refused(self, commands: Sequence[Command]) -> Mapping[int, Fault]:
        """Whose address names the login of somebody who is no customer."""
        from ordering.api import logins

        emails = [command.email for command in commands if isinstance(command, RegisterCustomer)]
        taken = logins.not_free(emails)
        refusal = Fault("email", str(EmailTaken()))
        return {place: refusal for place, email in enumerate(emails) if mailbox_of(email) in taken} if taken else {}


@cache
def _shape() -> "NewCustomerShape":
    """One for all lines: to make one costs more than to use it."""
    from ordering.api.customer_shapes import NewCustomerShape

    return NewCustomerShape()
