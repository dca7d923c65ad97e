"""What is one mailbox: which addresses mail can reach, and when two of them are spellings of one.

Domains are compared by their A-labels, as IDNA 2008 and UTS 46 make them (non-transitional): `bücher.example` is
`xn--bcher-kva.example`, while `straße.example` and `strasse.example` are two.
"""

import re
from functools import lru_cache
from operator import contains
from typing import NamedTuple
from unicodedata import normalize

import idna

from ordering.domain.errors import InvalidEmail

LOCAL = re.compile("[!-~]+")
"""Mail servers are asked for no extension by which other characters could be sent (SMTPUTF8)."""

LONGEST_LOCAL, LONGEST = 64, 254


class Domain(NamedTuple):
    """A domain as it is looked up, and as it is read."""

    ascii: str
    unicode: str

    def is_written(self, name: str) -> bool:
        """Whether a name that means it has its letters, in whatever case, each label in either form. A sign that stands
        for a letter, as that of Kelvin, is no letter.
        """
        labels = [{*pair} for pair in zip(self.ascii.split("."), self.unicode.split("."), strict=True)]
        written = normalize("NFC", name).lower().split(".")
        return (
            all(normalize("NFC", each) == each for each in name)
            and len(written) == len(labels)
            and all(map(contains, labels, written))
        )


def reachable(email: str) -> str:
    """The address as it is shown: as it was given, without spaces around it, in Unicode's form NFC.

    Raises `InvalidEmail` if no mail of ours can reach it, or it is written with characters that merely look like those
    which its mailbox has.
    """
    local, at, name = email.strip().rpartition("@")
    if not at:
        raise InvalidEmail
    if not LOCAL.fullmatch(local):
        raise InvalidEmail("What stands before the @ has other characters than those of ASCII: no mail can reach it.")
    if len(local) > LONGEST_LOCAL:
        raise InvalidEmail(f"What stands before the @ has more than {LONGEST_LOCAL} characters: no mail can reach it.")
    domain = _domain(name)
    if not domain.is_written(name):
        raise InvalidEmail(f"What stands behind the @ is written with other characters than {domain.unicode} has.")
    if len(local) + 1 + len(domain.ascii) > LONGEST:
        raise InvalidEmail(f"The address is longer than the {LONGEST} characters that mail can be sent to.")
    return normalize("NFC", f"{local}@{name}")


def mailbox_of(email: str) -> str:
    """The form in which all spellings of one mailbox are equal: in small letters, the domain as A-labels.

    What has no such form, as an address from before this was asked, is compared by its letters alone.
    """
    return spellings(email)[0]


def spellings(email: str) -> tuple[str, ...]:
    """`mailbox_of` an address, and the same with the domain as people read it, where that is another text."""
    try:
        local, domain = _parts(email)
    except InvalidEmail:
        return (letters_of(email),)
    forms = (f"{local.casefold()}@{name}" for name in (domain.ascii, domain.unicode))
    return tuple(dict.fromkeys(forms))


def letters_of(email: str) -> str:
    """How addresses were compared before domains were."""
    return email.strip().casefold()


def deliverable(email: str) -> str:
    """What a mail server is told, the domain as A-labels. Raises `InvalidEmail` if no mail of ours can reach it."""
    local, domain = _parts(email)
    if not LOCAL.fullmatch(local):
        raise InvalidEmail
    return f"{local}@{domain.ascii}"


def _parts(email: str) -> tuple[str, Domain]:
    local, at, name = email.strip().rpartition("@")
    if not at:
        raise InvalidEmail
    return local, _domain(name)


@lru_cache(maxsize=1024)
def _domain(name: str) -> Domain:
    try:
        ascii_name = idna.encode(name, uts46=True, std3_rules=True).decode()
        found = Domain(ascii_name, idna.decode(ascii_name))
    except UnicodeError as error:
        raise InvalidEmail("What stands behind the @ is no domain that mail can be sent to.") from error
    if ascii_name.endswith("."):
        raise InvalidEmail("What stands behind the @ is no domain that mail can be sent to.")
    return found
