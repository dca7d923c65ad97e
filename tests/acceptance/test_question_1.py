"""How do I change a bunch of data at once? One command with fine-grained events, and a file of many customers."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from eventstore.models import ImportRun, StoredEvent, SubscriberRow
from ordering.models import BirthYear, CustomerProfile
from sagas.models import Delivery
from tests.integration.http_client import V1, Http
from tests.integration.importing import HEADER, file_of, registered
from tests.integration.processes import BASE_DIR, eventually, server, worker

PAGE = BASE_DIR / "docs" / "changing-data.md"
BETWEEN = "-- the next block --"
ADDRESS = {"street": "12 St James's Square", "postal_code": "SW1Y", "city": "London", "country": "GB"}


@pytest.fixture(scope="module")
def site(browser, mails, django_db_setup, django_db_blocker) -> Iterator[str]:
    """The address of an empty site with its clock and a worker."""
    from django.db import connections

    from eventstore.testing import reset

    with django_db_blocker.unblock(), ExitStack() as running:
        reset()
        running.enter_context(worker(beats=True))
        yield running.enter_context(server())
        connections.close_all()


def events_of(customer):
    return [*StoredEvent.objects.filter(stream_id=customer).order_by("version")]


def demographics():
    return SubscriberRow.objects.get(pk="demographics")


def test_one_patch_is_one_command_and_an_event_for_each_fact_that_changed(site):
    http = Http(site)
    customer = http.register()
    answer = http.call(
        "PATCH", f"{V1}/customers/{customer}", {"name": "Ada King", "birth_date": "1815-12-10", "address": ADDRESS}
    )
    assert json.loads(answer.content)["recorded"] == [
        "customer.renamed",
        "customer.birth-date-set",
        "customer.address-changed",
    ]
    _, *changes = events_of(customer)
    assert len({event.causation_id for event in changes}) == 1

    again = http.call("PATCH", f"{V1}/customers/{customer}", {"name": "Ada King", "birth_date": "1815-12-10"})
    assert json.loads(again.content)["recorded"] == []


def test_who_wants_birth_dates_alone_is_not_woken_by_a_name(site):
    http = Http(site)
    customer = http.register()
    http.call("PATCH", f"{V1}/customers/{customer}", {"birth_date": "1990-05-01"})
    eventually(BirthYear.objects.filter(pk=customer, year=1990).exists)
    woken = demographics().processed

    renamed = http.call("PATCH", f"{V1}/customers/{customer}", {"name": "Ada King", "address": ADDRESS})
    eventually(lambda: demographics().checkpoint >= int(renamed.headers["Event-Position"]))
    assert demographics().processed == woken


def test_a_patch_with_several_mistakes_is_told_of_all_of_them_and_changes_nothing(site):
    http = Http(site)
    customer = http.register()
    before = len(events_of(customer))
    answer = http.call(
        "PATCH",
        f"{V1}/customers/{customer}",
        {"name": "", "birth_date": "May", "address": {**ADDRESS, "country": "Britain"}},
    )
    assert answer.status == 400
    said = answer.content.decode()
    assert all(field in said for field in ("name", "birth_date", "country"))
    assert len(events_of(customer)) == before


def test_staff_upload_a_file_correct_what_was_refused_and_upload_that(site, page, log_in, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_bytes(file_of(2_000, bad={17, 1_234}))
    before = len(registered())
    log_in("eventstore.run_import", "eventstore.view_importrun")
    page.goto("/admin/eventstore/importrun/")
    page.get_by_role("link", name="Import customers").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Import it").click()
    panel = page.get_by_role("region", name="Import")
    expect(panel.get_by_text("Ended", exact=True)).to_be_visible()
    expect(panel.locator("[data-line]")).to_have_count(2)
    expect(panel.locator("[data-line='19']")).to_contain_text("Enter a valid email address.")
    assert len(registered()) == before + 1_998

    with page.expect_download() as download:
        panel.get_by_role("link", name="Refused lines as a file").click()
    refused = Path(download.value.path()).read_text("utf-8-sig")
    assert refused.startswith(f"line,errors,{HEADER}\n19,email: Enter a valid email address.,")
    file.write_text(refused.replace("nowhere", "first@example.org", 1).replace("nowhere", "second@example.org"))
    page.get_by_role("link", name="Another file").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Import it").click()
    expect(panel.get_by_text("Ended", exact=True)).to_be_visible()
    expect(panel.locator("[data-line]")).to_have_count(0)
    assert len(registered()) == before + 2_000

    eventually(lambda: BirthYear.objects.count() >= 2_000)
    assert CustomerProfile.objects.filter(email="second@example.org").exists()
    assert not Delivery.objects.filter(
        position__in=StoredEvent.objects.filter(type="customer.registered", data__welcome=False).values("position")
    ).exists()
    assert ImportRun.objects.filter(content__isnull=False).count() == 0


def test_every_command_of_the_page_does_what_the_page_says(site, tmp_path):
    """The blocks of shell are run in their order; a block of text is what the one before it says."""
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = f"\necho '{BETWEEN}'\n".join(here(text, site, tmp_path) for kind, text in blocks if kind == "sh")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        ["bash", "-uc", script],
        cwd=BASE_DIR,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    printed = run.stdout.split(f"{BETWEEN}\n")
    assert len(printed) == len([kind for kind, _ in blocks if kind == "sh"]), run.stdout
    number = -1
    for kind, text in blocks:
        number += kind == "sh"
        if kind == "text":
            missing = [line for line in here(text, site, tmp_path).splitlines() if line not in printed[number]]
            assert missing == [], printed[number]


def here(text, site, folder):
    """What the page says, for this site and this folder."""
    return text.replace("http://localhost:8000", site).replace("/tmp/", f"{folder}/")
