"""Goes through the pages of the admin, for the benchmark `admin`.

Started as `python -m benchmarks.pages`: says which pages it has found, by following links from the front page, as one
JSON object of addresses by kind. Then it opens the one of each kind that it is told, a line each, and answers what it
took.
"""

import re
import sys
import time
from collections import deque
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urljoin, urlsplit

import django
import msgspec

FRONT = "/admin/"
LEFT_OUT = re.compile(r"logout|password|jsi18n|export|download|\.csv")
MOST_FILTERS = 1
"""Lists are looked at with so many filters at a time."""

WITHOUT_WORK = re.compile(r"BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET ")


class Took(NamedTuple):
    """What a page took: milliseconds of the site, or the statements that it asked."""

    ms: float
    statements: int


class Links(HTMLParser):
    """What a page links to, and the parts of it that ask for themselves."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.found += filter(None, [known.get("href") if tag == "a" else None, known.get("data-poll")])


def kind_of(address: str) -> str | None:
    """The name of a page and of what it is asked for; None for what is no page of the admin."""
    from django.urls import Resolver404, resolve

    path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
    asked = sorted(query.keys() - {"_changelist_filters"})
    if not path.startswith(FRONT) or LEFT_OUT.search(address) or len(asked) > MOST_FILTERS:
        return None
    try:
        name = resolve(path).view_name
    except Resolver404:
        return None
    return f"{name}?{'&'.join(asked)}" if asked else name


def found(client: Any) -> dict[str, str]:
    """One page of each kind that there is, by following links from the front page."""
    pages: dict[str, str] = {}
    waiting = deque([FRONT])
    while waiting:
        address = waiting.popleft()
        kind = kind_of(address)
        if kind is None or kind in pages:
            continue
        answer = client.get(address)
        if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
            continue
        pages[kind] = address
        waiting += [urljoin(address, link) for link in Links(answer.content.decode()).found]
    return pages


def opened(client: Any, address: str) -> Took:
    """Opens a page twice: once in peace, once while what it asks is written down."""
    from django.db import connection

    from benchmarks.wire import Trip, traced

    began = time.perf_counter()
    client.get(address)
    ms = (time.perf_counter() - began) * 1e3
    connection.ensure_connection()
    trips: list[Trip] = []
    with traced(connection.connection, trips):
        client.get(address)
    asked = [each for trip in trips for each in trip.statements if not WITHOUT_WORK.match(each)]
    return Took(ms, len(asked))


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("benchmark"))
    pages = found(client)
    print(msgspec.json.encode(pages).decode(), flush=True)
    for kind in sys.stdin:
        print(msgspec.json.encode(opened(client, pages[kind.strip()])).decode(), flush=True)


if __name__ == "__main__":
    main()
