"""Where on the network a request comes from."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle

NOWHERE = "nowhere"


def of(request: HttpRequest) -> str:
    """The IPv4 address, or the /64 of the IPv6 one: whoever has one address of that has all of them.

    Of `X-Forwarded-For` only what our own proxies wrote is believed: as many entries from its end as the setting
    `PROXIES` says stand in front. What is no address there counts as the proxy's.
    """
    named = BaseThrottle().get_ident(request)  # type: ignore[arg-type]  # it needs but META
    found = _address(named) or _address(request.META.get("REMOTE_ADDR"))
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if isinstance(found, IPv6Address):
        return str(ip_network((int(found), 64), strict=False))
    return str(found or NOWHERE)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """Some proxies write the port as well."""
    with suppress(ValueError):
        return ip_address(text or "")
    with suppress(ValueError):
        return ip_address(urlsplit(f"//{text}").hostname or "")
    return None
