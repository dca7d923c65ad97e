"""A new password by a link that was mailed.

The link is made from what isn't secret, and from what it is about to change: once the password or the address is
another, it leads nowhere.
"""

from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.core.signing import BadSignature
from django.db import transaction

from eventstore import context, repository, store
from eventstore.commands import dispatch
from eventstore.errors import StreamNotFound
from ordering.domain.customer import Customer, RecordPasswordChange
from ordering.domain.mailbox import mailbox_of
from ordering.mailed_links import LinkOver
from ordering.models import CustomerAccount
from ordering.pages.links import password_link

NAMESPACE = UUID("5b0c6a51-4c1f-5a57-9d53-0c3c6f1f6b0e")


def hash_of(email: str) -> str:
    """How an event names a mailbox that may be nobody's."""
    return store.claim_hashes("email", mailbox_of(email))[0]


def customer_of(mailbox: str) -> UUID | None:
    """Who has the mailbox with this hash."""
    return store.holding([mailbox]).get(mailbox)


def login_of(customer_id: UUID) -> User | None:
    """The login that a mail may lead into: not one that is closed, nor one with rights, which staff give."""
    user = User.objects.filter(customer__customer_id=customer_id, is_active=True).first()
    return None if user is None or has_rights(user) else user


def has_rights(user: User) -> bool:
    """Whether somebody may do more than a customer."""
    return user.is_staff or user.is_superuser or user.groups.exists() or user.user_permissions.exists()


def bearer(token: str) -> User:
    """Whose password the link with this token changes. Raises `LinkOver`."""
    try:
        link = password_link(token)
        customer = repository.get(Customer, link.customer_id)
    except (BadSignature, StreamNotFound) as error:
        raise LinkOver from error
    user = login_of(customer.id)
    if user is None or not link.is_for(customer.email, user.password):
        raise LinkOver
    return user


def choose(token: str, password: str) -> User:
    """Set a password, which ends all tokens, and have that recorded first: who dies in between can use the link again.

    Raises `LinkOver`, for all but one of those who use it at once.
    """
    account = CustomerAccount.objects.get(user=bearer(token))
    with context.acting(actor=f"customer:{account.customer_id}"):
        dispatch(RecordPasswordChange(customer_id=account.customer_id), command_id=uuid5(NAMESPACE, token))
    with transaction.atomic():
        CustomerAccount.objects.select_for_update().get(pk=account.pk)
        user = bearer(token)
        user.set_password(password)
        user.save(update_fields=["password"])
    return user
