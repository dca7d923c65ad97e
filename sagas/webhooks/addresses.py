"""Where a webhook may go: to a public address, over TLS, unless the installation says that it may go anywhere."""

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from eventstore.errors import Refused
from sagas import conf

LONGEST_HOST = 253


class UnfitAddress(Refused):
    """Webhooks are not sent to such an address."""

    code = "unfit-address"


class Target(NamedTuple):
    """Whom a request goes to, as its URL says it; the path with the query."""

    host: str
    port: int
    path: str
    tls: bool


def target(url: str) -> Target:
    """What a URL says, looked at without resolving its name. Raises `UnfitAddress`."""
    parts = _split(url)
    allowed = ("https", "http") if conf.WEBHOOKS_TO_PRIVATE_ADDRESSES.get() else ("https",)
    if parts.scheme not in allowed:
        raise UnfitAddress(f"The URL has to begin with {' or '.join(f'{scheme}://' for scheme in allowed)}.")
    if parts.username is not None or parts.password is not None:
        raise UnfitAddress("There is a user name or a password in the URL.")
    if parts.fragment:
        raise UnfitAddress("There is a fragment in the URL, which is never sent.")
    host = parts.hostname or ""
    if not host or len(host) > LONGEST_HOST:
        raise UnfitAddress("There is no host in the URL.")
    if _is_literal(host):
        _must_be_public(host)
    tls = parts.scheme == "https"
    path = parts.path or "/"
    return Target(host, parts.port or (443 if tls else 80), f"{path}?{parts.query}" if parts.query else path, tls)


def resolve(to: Target) -> str:
    """The one address to connect to: the first that the name has, if all that it has are fit. Raises `UnfitAddress`,
    and `OSError` where the name has none.
    """
    found = [str(each[4][0]) for each in socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)]
    for address in found:
        _must_be_public(address)
    return found[0]


def _must_be_public(address: str) -> None:
    if not (conf.WEBHOOKS_TO_PRIVATE_ADDRESSES.get() or is_public(address)):
        raise UnfitAddress("This is no public address.")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also where it is written as one of IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (inner := _within(found)) is not None:
        return is_public(str(inner))
    if isinstance(found, ipaddress.IPv6Address) and (found.is_site_local or found in NAT64_LOCAL):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")


def _within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The address of IPv4 that one of IPv6 leads to."""
    if address in NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _split(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UnfitAddress("Only visible characters of ASCII may be in the URL.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UnfitAddress("This is no URL.") from None
    if parts.port == 0:
        raise UnfitAddress("There is no such port.")
    return parts


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
