"""The pages of the three apps in Django's own admin, without Unfold: how they look, and that they stay up to date."""

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from config.bundled.valkey import free_port
from tests.integration.plain import plain_project, run
from tests.integration.processes import program

WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}

FILL = """
import json
import uuid
import django
django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

for command in (["makemigrations", "library"], ["migrate"], ["lend"]):
    call_command(*command, verbosity=0)

from eventstore.models import Consumer, DiscardedEvent, HandlerWarning, ImportRun, Incident, OperatorAction
from eventstore.models import ParkedEvent, RefusedLine, SkippedRange, StoredEvent, SubscriberRow, WorkerHeartbeat
from projections.models import Difference, Generation, Part
from sagas.models import Delivery, Instance, OutboxCommand, RehearsalRun, Timer
from sagas.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint

ERROR = "ReadTableRefused: " + "a_word_that_nobody_can_break" * 6
book, now = str(uuid.uuid4()), timezone.now()
who = {"subscriber": "shelves", "key": book}
ParkedEvent.objects.create(**who, position=1, error=ERROR, traceback=ERROR * 4)
ParkedEvent.objects.create(**who, position=2)
DiscardedEvent.objects.create(**who, position=3, error=ERROR, reason="a test", by="ada")
SkippedRange.objects.create(subscriber="shelves", after=1, upto=2, reason="a test", by="ada")
HandlerWarning.objects.create(subscriber="shelves", position=1, text=ERROR)
OperatorAction.objects.create(operation="retry", target="shelves", by="ada", outcome=ERROR, refused=True)
Incident.objects.create(kind="parked", about="shelves", text=ERROR, began_at=now, seen_at=now)
Consumer.objects.create(name="warehouse", by="user:1", position=1, epoch=uuid.uuid4(), errors=[ERROR])
WorkerHeartbeat.objects.create(name="worker@library", kind="worker", queues=["live", "rebuild"], process="library 1")
told = {"importer": "books", "name": "books.csv", "written": {"kind": "csv"}, "size": 9, "by": "ada"}
imported = ImportRun.objects.create(**told, refused=1)
RefusedLine.objects.create(run=imported, number=2, content="[]", faults=json.dumps([["title", ERROR]]))
shelves = SubscriberRow.objects.get(name="shelves")
SubscriberRow.objects.filter(name="shelves").update(last_error=ERROR, last_error_at=now, shards=2)
shelves.name, shelves.shard, shelves.shards, shelves.status = "shelves/1", 1, 2, "halted"
shelves.save(force_insert=True)
folded = {"projection": "shelves", "version": 1, "types_hash": "", "requested_by": "ada"}
building = Generation.objects.create(**folded, target=100)
Part.objects.create(generation=building, checkpoint=40, processed=40, built_by="library 1")
verified = {"purpose": "verify", "status": "verified", "finished_at": now, "compared": 2, "differing": 1}
verified = Generation.objects.create(**folded, target=100, **verified)
values = {"title": ["Ulysses" * 20, "Emma"]}
Difference.objects.create(generation=verified, key=book, kind="differs", columns=values)
saga = Instance.objects.all()[0]
step = {"step": "send", "command": "book.remind", "data": {"book_id": book}}
other = {"position": 2, "type": "book.lent", "taken": [step], "would_take": [], "error": ERROR}
other = {"differences": [{"key": book, "events": 1, "differences": [other]}]}
RehearsalRun.objects.create(saga=saga.saga, done=3, total=9, instances=2, differing=1, found=other, finished_at=now)
ids = {name: uuid.uuid4() for name in ("command_id", "correlation_id", "causation_id")}
timer = {"name": "reminder", "due_at": now, "type": "book.remind", "data": {}, "actor": "saga"}
Timer.objects.create(saga=saga.saga, key=saga.key, **timer, **ids)
OutboxCommand.objects.update(status="parked", error=ERROR)
Delivery.objects.update(status="in doubt", error=ERROR)
to = {"url": "https://hooks.example/" + "x" * 150, "owner": "ops@example.org", "types": ["book.lent"] * 20}
hook = WebhookEndpoint.objects.create(**to, secret=b"", begins_after=0, failing_since=now, failures=3)
told = WebhookDelivery.objects.create(endpoint=hook, position=1, stream_id=book, type="book.lent", attempts=1)
WebhookAttempt.objects.create(delivery=told, seconds=0.3, code=500, answer=ERROR)

pages = [
    reverse("admin:eventstore_subscriber", args=["shelves"]),
    reverse("admin:eventstore_operation", args=["pause", "shelves"]),
    reverse("admin:eventstore_operation", args=["verify", "shelves"]) + "?change",
    reverse("admin:eventstore_operation", args=["discard", "shelves"]) + f"?key={book}&positions=1",
    reverse("admin:sagas_history", args=[saga.saga, saga.key]),
    reverse("admin:eventstore_event_types"),
    reverse("admin:eventstore_event_type", args=["book.lent"]),
    reverse("admin:eventstore_storedevent_change", args=[StoredEvent.objects.latest("position").pk]),
    reverse("admin:eventstore_stream", args=[StoredEvent.objects.latest("position").stream_id]),
]
for model in admin.site._registry:
    if model._meta.app_label in {"eventstore", "projections", "sagas"}:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        pages.append(reverse(f"{name}_change", args=[model._default_manager.all()[0].pk]))
client = Client()
client.force_login(User.objects.create_superuser("ada"))
print(json.dumps({"session": client.cookies["sessionid"].value, "pages": pages}))
"""

# The rules of our stylesheet on a page, the style of whatever is selected, and what does not fit into the window. Lists
# are left out that scroll by themselves, as Django's do.
LOOK = """(selectors) => {
    const sheets = [...document.styleSheets].filter((each) => each.href?.endsWith("/static/eventstore/admin.css"));
    const wider = (each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 1;
    const style = (each) => {
        const { display, color, backgroundColor, borderTopWidth, borderTopLeftRadius } = getComputedStyle(each);
        return { display, color, backgroundColor, borderTopWidth, borderTopLeftRadius };
    };
    return {
        sheets: sheets.map((each) => each.cssRules.length),
        styles: selectors.map((each) => [...document.querySelectorAll(each)].map(style)),
        wider: [...document.querySelectorAll("body *")].filter((each) => wider(each) && !each.closest(".results"))
            .map((each) => each.outerHTML.slice(0, 200)),
        width: document.documentElement.scrollWidth,
    };
}"""

SELECTORS = (
    *(".panel", ".tag", "table.status", ".panel thead", ".act", ".act-main", "dl.facts", "pre.data", ".note-bad"),
    *("ol.story", "ul.shards", "progress", ".field input", ".field textarea"),
)


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> dict[str, Any]:
    """A plain project with something on every page: its folder, its pages, and the session of who may see them."""
    folder = plain_project(tmp_path_factory.mktemp("library"))
    (folder / "fill.py").write_text(FILL)
    return {"folder": folder, **json.loads(run(folder, "fill.py").splitlines()[-1])}


@pytest.fixture(scope="module")
def site(library):
    address = f"127.0.0.1:{free_port()}"
    arguments = (str(library["folder"] / "manage.py"), "runserver", "--noreload", "--insecure", address)
    with program(*arguments, ready="Starting development server", PYTHONUNBUFFERED="1"):
        yield f"http://{address}"


@pytest.fixture
def staff(page, site, library):
    """A page of somebody who may do everything."""
    page.context.add_cookies([{"name": "sessionid", "value": library["session"], "url": site}])
    return page


def look(page) -> dict[str, Any]:
    found = page.evaluate(LOOK, SELECTORS)
    return {**found, "styles": dict(zip(SELECTORS, found["styles"], strict=True))}


def colours(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["color"], each["backgroundColor"]) for name in (".panel", ".tag") for each in found["styles"][name]]


def test_every_page_has_a_look_in_light_and_dark_and_fits_a_narrow_window(staff, library):
    seen: dict[str, list[dict[str, str]]] = {name: [] for name in SELECTORS}
    for url in library["pages"]:
        staff.set_viewport_size(WIDE)
        staff.emulate_media(color_scheme="light")
        assert staff.goto(url).status == 200, url
        light = look(staff)
        assert (light["width"], light["wider"]) == (WIDE["width"], []), url
        assert len(light["sheets"]) == 1, url
        assert light["sheets"][0] > 50, url
        for name, styles in light["styles"].items():
            seen[name] += styles
        staff.emulate_media(color_scheme="dark")
        dark = look(staff)
        assert not set(colours(light)) & set(colours(dark)), url
        staff.set_viewport_size(NARROW)
        narrow = look(staff)
        assert (narrow["width"], narrow["wider"]) == (NARROW["width"], []), url
        assert {each["display"] for each in narrow["styles"][".panel thead"]} <= {"none"}, url
    assert [name for name, styles in seen.items() if not styles] == []
    clear = "rgba(0, 0, 0, 0)"
    assert {(each["display"], each["borderTopLeftRadius"]) for each in seen[".tag"]} == {("inline-block", "5px")}
    assert clear not in {each["backgroundColor"] for name in (".panel", ".tag", ".act-main") for each in seen[name]}
    assert {each["borderTopWidth"] for name in (".panel", ".act") for each in seen[name]} == {"1px"}
    assert {each["display"] for each in seen["dl.facts"]} == {"grid"}
    assert {each["display"] for each in seen["table.status"]} == {"table"}


def test_the_theme_that_somebody_chose_counts_for_more_than_that_of_the_system(staff, library):
    staff.goto(library["pages"][0])
    light = colours(look(staff))
    staff.emulate_media(color_scheme="dark")
    dark = colours(look(staff))
    assert dark != light
    for chosen, expected in (("light", light), ("dark", dark)):
        staff.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", chosen)
        assert colours(look(staff)) == expected
    staff.emulate_media(color_scheme="light")
    assert colours(look(staff)) == dark


def test_the_panel_of_the_projections_asks_for_itself_until_its_reader_is_logged_out(staff):
    staff.goto("/admin/projections/generation/")
    panel = staff.locator("#projections")
    expect(panel).to_contain_text("40.0 %")
    staff.locator("#rebuild-shelves").focus()
    panel.evaluate("(panel) => { panel.dataset.former = '' }")
    expect(staff.locator("#projections[data-former]")).to_have_count(0)
    expect(staff.locator("#rebuild-shelves")).to_be_focused()
    staff.context.clear_cookies()
    staff.wait_for_url("**/admin/login/**")
