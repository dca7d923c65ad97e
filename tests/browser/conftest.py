"""A real browser before a real site with a real worker; nobody talks to any other machine."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.integration.processes import MailServer, mail_server, server, worker

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    """The mail server of the site, which can be told to misbehave."""
    with mail_server() as (mails, url), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMAIL_URL", url)
        yield mails


@pytest.fixture(scope="module")
def sold() -> Callable[[], None]:
    """What is sold before anybody looks at the site."""
    from tests.integration import shop

    def sell() -> None:
        ada, conference = shop.customer(), shop.conference_on_sale()
        shop.pay(shop.order(ada, conference, 2), 2)
        shop.order(ada, conference)

    return sell


@pytest.fixture(scope="module")
def site(browser, mails, sold, django_db_setup, django_db_blocker) -> Iterator[str]:
    """The address of a site that sold a little, whose log a worker follows."""
    from django.db import connections

    from eventstore.testing import reset

    with django_db_blocker.unblock(), ExitStack() as running:
        reset()
        running.enter_context(worker(beats=True))
        sold()
        yield running.enter_context(server())
        connections.close_all()


@pytest.fixture
def looks() -> dict[str, Any]:
    """How the browser differs from others."""
    return {}


@pytest.fixture
def page(browser, site, looks) -> Iterator[Page]:
    """A new page. The test fails when it asks another machine for anything, or when a script complains."""
    faults: list[str] = []
    here = urlsplit(site).netloc
    context = browser.new_context(base_url=site, **{"viewport": {"width": 1400, "height": 900}, **looks})
    context.set_default_timeout(60_000)
    page = context.new_page()

    def request(asked):
        if urlsplit(asked.url).scheme in {"http", "https"} and urlsplit(asked.url).netloc != here:
            faults.append(f"asked for {asked.url}")

    context.on("request", request)
    page.on("console", lambda said: faults.append(f"said {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(f"threw {error}"))
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def log_in(page):
    """Somebody of the staff with these permissions, at the front page."""

    def enter(*permissions: str, superuser: bool = False, name: str = ""):
        from django.contrib.auth.models import Permission, User

        name = name or f"staff-{os.urandom(4).hex()}"
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=superuser)
        for each in permissions:
            app, codename = each.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        page.goto("/admin/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("#status")
        return user

    return enter
