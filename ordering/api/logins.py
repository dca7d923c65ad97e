"""Logins of customers. They follow what the log says, and each step can be repeated: a crash between two is made good
by the same call again, or by whoever needs the name.
"""

from collections.abc import Iterable
from uuid import UUID

import structlog
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from eventstore import repository
from eventstore.errors import StreamExists
from ordering.domain.customer import Customer
from ordering.domain.errors import EmailTaken
from ordering.domain.mailbox import mailbox_of
from ordering.models import CustomerAccount

log = structlog.get_logger(__name__)


def must_be_free(email: str, customer_id: UUID) -> None:
    """Raises `EmailTaken` if this address names a login that is no customer's; customers have claims."""
    if not_free([email]):
        raise EmailTaken


def not_free(emails: Iterable[str]) -> set[str]:
    """Those of the mailboxes of these addresses that name logins which are no customer's."""
    names = {mailbox_of(email) for email in emails}
    return set(User.objects.filter(username__in=names, customer=None).values_list("username", flat=True))


def name_of(customer_id: UUID) -> str | None:
    """What the login of this customer is called, if there is one."""
    return User.objects.filter(customer__customer_id=customer_id).values_list("username", flat=True).first()


def open_for(customer_id: UUID, password: str | None) -> None:
    """The login of a registered customer; without a password, one that nobody can use yet.

    Raises `StreamExists` if there is one already, with another password, or if there was one that staff deleted.
    """
    if is_open(customer_id, password):
        return
    email = repository.get(Customer, customer_id).email
    user = User(username=mailbox_of(email), email=email)
    user.set_password(password)
    try:
        with transaction.atomic():
            stale = _vacate(user.username)
            user.save()
            CustomerAccount.objects.create(user=user, customer_id=customer_id)
    except IntegrityError:
        # The same call, made twice at once.
        if not is_open(customer_id, password):
            raise
        return
    if stale:
        follow(stale)


def is_open(customer_id: UUID, password: str | None) -> bool:
    """Whether this customer has a login, with this password. Raises `StreamExists` as `open_for` does."""
    account = CustomerAccount.objects.select_related("user").filter(customer_id=customer_id).first()
    if account is None:
        return False
    if account.user is None or not _has_password(account.user, password):
        raise StreamExists
    return True


def follow(customer_id: UUID) -> None:
    """Name the login after the address that the log knows now."""
    with transaction.atomic():
        account = CustomerAccount.objects.select_for_update().filter(customer_id=customer_id).first()
        if account is None or account.user is None:
            return
        email = repository.get(Customer, customer_id).email
        user, name = account.user, mailbox_of(email)
        if (user.username, user.email) == (name, email):
            return
        stale = _vacate(name) if user.username != name else None
        user.username, user.email = name, email
        user.save(update_fields=["username", "email"])
    if stale:
        follow(stale)


def _has_password(user: User, password: str | None) -> bool:
    """It is not hashed anew: whoever asks writes nothing."""
    return check_password(password, user.password) if password is not None else not user.has_usable_password()


def _vacate(name: str) -> UUID | None:
    """Take a name from a login that has not followed its customer yet; answers whose it was.

    The log has given the address to somebody else, so nobody who holds it can mind.
    """
    account = CustomerAccount.objects.select_related("user").filter(user__username=name).first()
    if account is None or account.user is None:
        return None
    account.user.username = str(account.customer_id)
    account.user.save(update_fields=["username"])
    log.info("login_renamed", customer=str(account.customer_id))
    return account.customer_id
