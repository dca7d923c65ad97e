"""What mails have in common whose link changes something, and which somebody asks for."""

from ordering import conf
from ordering.brakes import Brake
from ordering.domain.mailbox import mailbox_of

LINKS = Brake(conf.THROTTLE_LINKS)
MAILBOXES = Brake(conf.THROTTLE_MAILBOX)


class LinkOver(Exception):
    """This link is not good, or not any more."""


def count(network: str, email: str) -> None:
    """One more mail that somebody asks for. Raises `Braked`, whether or not there is such a mailbox."""
    LINKS.count(network)
    MAILBOXES.count(mailbox_of(email))
