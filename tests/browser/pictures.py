"""Pictures of pages for the docs, which `make pictures` takes anew.

What differs from run to run is written over while a picture is taken: today is always the same day, orders always have
the same numbers. So a picture changes where its page does.
"""

import os
import re
import socket
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.integration.processes import eventually

TODAY = date(2031, 3, 3)
NEAR = timedelta(days=60)
MOST = 160_000
"""Bytes of a picture, lest the docs grow heavy."""

READ = """() => {
    window.written = [...document.querySelectorAll("input:not([type=hidden]), textarea")].map(each => [each, "value"])
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) window.written.push([texts.currentNode, "data"])
    return window.written.map(([node, what]) => node[what])
}"""
WRITE = (
    "texts => window.written.forEach(([node, what], at) => { if (node[what] !== texts[at]) node[what] = texts[at] })"
)

NUMBER = re.compile(r"BX-[0-9A-Z]{5}-[0-9A-Z]{5}")
IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PROCESS = re.compile(rf"{re.escape(socket.gethostname())}:\d+")
LONG = re.compile(r"\b\d+(\.\d+)? (s|min)\b(?= ago| left|$)")
MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
CLOCK = r"(\d\d:\d\d)(:\d\d)?"
DAYS = {
    form: re.compile(rf"\b({day})(?:(,? |T){CLOCK})?")
    for form, day in {
        "%d %b %Y": rf"\d{{1,2}} {MONTH} \d{{4}}",
        "%d %b": rf"\d{{1,2}} {MONTH}(?! \d{{4}})",
        "%Y-%m-%d": r"\d{4}-\d\d-\d\d",
    }.items()
}
ONLY_CLOCK = re.compile(r"(?<!\d )(?<!\d, )\b\d\d:\d\d:\d\d\b")
AT = "10:30"


class Camera:
    """Takes pictures of a page, or of a part of it. Where `PICTURES` names a folder they are kept there."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._names: dict[str, str] = {}

    def take(self, name: str, part: Locator | None = None) -> None:
        texts = self._page.evaluate(READ)
        self._page.evaluate(WRITE, [self.steady(text) for text in texts])
        image = (part or self._page).screenshot(animations="disabled", caret="hide")
        self._page.evaluate(WRITE, texts)
        assert len(image) < MOST
        if folder := os.environ.get("PICTURES"):
            Path(folder, f"{name}.png").write_bytes(image)

    def steady(self, text: str) -> str:
        """What stands there in every run."""
        text = NUMBER.sub(lambda found: self._named(found, "BX-7K3MQ-9QW{:02}"), text)
        text = IDENTIFIER.sub(lambda found: self._named(found, "0195a1c2-7d40-7000-8000-{:012}"), text)
        text = ONLY_CLOCK.sub(f"{AT}:00", LONG.sub("2 s", PROCESS.sub("worker:7", text)))
        for form, days in DAYS.items():
            text = days.sub(partial(moved, form), text)
        return text

    def _named(self, found: re.Match[str], form: str) -> str:
        return self._names.setdefault(found[0], form.format(len(self._names) + 1))


def moved(form: str, found: re.Match[str]) -> str:
    """A day near the present one, as far from `TODAY`; whatever happens today happens at the same time of day."""
    said, gap, clock, seconds = found.groups(default="")
    now = datetime.now(UTC).date()
    known, whole = (said, form) if "%Y" in form else (f"{said} {now.year}", f"{form} %Y")
    day = datetime.strptime(known, whole).replace(tzinfo=UTC).date()
    if abs(day - now) >= NEAR:
        return found[0]
    there = (TODAY + (day - now)).strftime(form.replace("%d", "%-d") if form.startswith("%d") else form)
    return f"{there}{gap}{AT if clock and day == now else clock}{':00' if seconds else ''}"


def shown(page: Page, url: str, condition: Callable[[], object]) -> None:
    """Opens a page as soon as what it reads has come about."""
    eventually(condition)
    page.goto(url)
