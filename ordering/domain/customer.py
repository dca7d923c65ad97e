"""Customers: who they are and how to reach them."""

from datetime import date
from uuid import UUID

from msgspec import UNSET, UnsetType

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.events import Event, event
from ordering.domain.errors import EmailOutdated, EmailTaken
from ordering.domain.mailbox import letters_of, mailbox_of, reachable, spellings
from ordering.domain.text import check_line
from ordering.domain.values import Address


@event("customer.registered", version=2)
class CustomerRegistered(Event):
    """`welcome` says whether the customer is greeted with a mail: who is imported mostly isn't."""

    customer_id: UUID
    name: str
    email: str
    welcome: bool = True


@event("customer.renamed")
class CustomerRenamed(Event):
    customer_id: UUID
    name: str


@event("customer.email-changed")
class CustomerEmailChanged(Event):
    customer_id: UUID
    email: str


@event("customer.email-confirmed")
class CustomerEmailConfirmed(Event):
    """By the link of a mail to this address: the customer reads what is sent there."""

    customer_id: UUID
    email: str


@event("customer.email-link-requested")
class CustomerEmailLinkRequested(Event):
    """Another mail with a link that confirms the address."""

    customer_id: UUID


@event("customer.birth-date-set")
class CustomerBirthDateSet(Event):
    customer_id: UUID
    birth_date: date | None


@event("customer.address-changed")
class CustomerAddressChanged(Event):
    customer_id: UUID
    address: Address | None


@event("customer.password-changed")
class CustomerPasswordChanged(Event):
    """By the link of a mail. Neither the old one nor the new one is said."""

    customer_id: UUID


@command("customer.register", stream="customer_id")
class RegisterCustomer(Command):
    customer_id: UUID
    name: str
    email: str
    birth_date: date | None = None
    address: Address | None = None
    welcome: bool = True


@command("customer.change", stream="customer_id")
class ChangeCustomer(Command):
    """What is left unset stays as it is; None clears."""

    customer_id: UUID
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    birth_date: date | UnsetType | None = UNSET
    address: Address | UnsetType | None = UNSET


@command("customer.confirm-email", stream="customer_id")
class ConfirmEmail(Command):
    customer_id: UUID
    email: str


@command("customer.request-email-link", stream="customer_id")
class RequestEmailLink(Command):
    customer_id: UUID


@command("customer.record-password-change", stream="customer_id")
class RecordPasswordChange(Command):
    customer_id: UUID


class Customer(Aggregate, category="customer"):
    """One event for each fact that really changed; an email address belongs to one customer only."""

    name: str
    email: str
    email_number: int
    """Which of their addresses it is, counted from 1: one that they had before and have again is another."""
    email_confirmed: bool
    birth_date: date | None
    address: Address | None

    @handles(RegisterCustomer, creates=True)
    def register(self, command: RegisterCustomer, facts: Facts) -> None:
        check_line(command.name)
        email = reachable(command.email)
        self._claim(email)
        self.record(CustomerRegistered(customer_id=self.id, name=command.name, email=email, welcome=command.welcome))
        if command.birth_date is not None:
            self.record(CustomerBirthDateSet(customer_id=self.id, birth_date=command.birth_date))
        if command.address is not None:
            self.record(CustomerAddressChanged(customer_id=self.id, address=command.address))

    @handles(ChangeCustomer)
    def change(self, command: ChangeCustomer, facts: Facts) -> None:
        if command.name is not UNSET and command.name != self.name:
            check_line(command.name)
            self.record(CustomerRenamed(customer_id=self.id, name=command.name))
        if command.email is not UNSET and command.email.strip() != self.email:
            self._change_email(reachable(command.email))
        if command.birth_date is not UNSET and command.birth_date != self.birth_date:
            self.record(CustomerBirthDateSet(customer_id=self.id, birth_date=command.birth_date))
        if command.address is not UNSET and command.address != self.address:
            self.record(CustomerAddressChanged(customer_id=self.id, address=command.address))

    @handles(ConfirmEmail)
    def confirm_email(self, command: ConfirmEmail, facts: Facts) -> None:
        """Raises `EmailOutdated`."""
        if command.email != self.email:
            raise EmailOutdated
        if not self.email_confirmed:
            self.record(CustomerEmailConfirmed(customer_id=self.id, email=self.email))

    @handles(RequestEmailLink)
    def request_email_link(self, command: RequestEmailLink, facts: Facts) -> None:
        """There is nothing to ask for once the address is confirmed."""
        if not self.email_confirmed:
            self.record(CustomerEmailLinkRequested(customer_id=self.id))

    @handles(RecordPasswordChange)
    def record_password_change(self, command: RecordPasswordChange, facts: Facts) -> None:
        self.record(CustomerPasswordChanged(customer_id=self.id))

    def held_values(self) -> list[tuple[str, str]]:
        return [("email", spelling) for spelling in spellings(self.email)]

    def _change_email(self, email: str) -> None:
        """In another spelling it is the same mailbox, and its claim stays."""
        if email == self.email:
            return
        if mailbox_of(email) != mailbox_of(self.email):
            for spelling in dict.fromkeys((*spellings(self.email), letters_of(self.email))):
                self.release("email", spelling)
            self._claim(email)
        self.record(CustomerEmailChanged(customer_id=self.id, email=email))

    def _claim(self, email: str) -> None:
        """In each of its spellings: mailboxes were once claimed in that which was given."""
        for spelling in spellings(email):
            self.claim("email", spelling, EmailTaken())

    @on(CustomerRegistered)
    def _registered(self, event: CustomerRegistered) -> None:
        self.name, self.email = event.name, event.email
        self.email_number, self.email_confirmed = 1, False
        self.birth_date, self.address = None, None

    @on(CustomerRenamed)
    def _renamed(self, event: CustomerRenamed) -> None:
        self.name = event.name

    @on(CustomerEmailChanged)
    def _email_changed(self, event: CustomerEmailChanged) -> None:
        self.email = event.email
        self.email_number, self.email_confirmed = self.email_number + 1, False

    @on(CustomerEmailConfirmed)
    def _email_confirmed(self, event: CustomerEmailConfirmed) -> None:
        self.email_confirmed = True

    @on(CustomerEmailLinkRequested)
    def _email_link_requested(self, event: CustomerEmailLinkRequested) -> None:
        """There is nothing to decide by it."""

    @on(CustomerBirthDateSet)
    def _birth_date_set(self, event: CustomerBirthDateSet) -> None:
        self.birth_date = event.birth_date

    @on(CustomerAddressChanged)
    def _address_changed(self, event: CustomerAddressChanged) -> None:
        self.address = event.address

    @on(CustomerPasswordChanged)
    def _password_changed(self, event: CustomerPasswordChanged) -> None:
        """Logins have passwords, customers don't."""
