"""A file is uploaded in the admin, workers import it, and its page says what became of it."""

from datetime import timedelta
from io import BytesIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from eventstore.imports import runs, tasks
from eventstore.models import ImportRun
from tests.integration.admin.reading import text
from tests.integration.importing import HEADER, begin, file_of, line, registered, steps
from tests.integration.processes import eventually, worker

pytestmark = pytest.mark.usefixtures("clean")

UPLOAD, LIST = "/admin/eventstore/importrun/upload/customers/", "/admin/eventstore/importrun/"
PAGES = ("importrun_change", "import_delete")


@pytest.fixture
def importer(staff):
    return staff("eventstore.run_import", "eventstore.view_importrun")


def upload(client, content, name="customers.csv", **how):
    file = SimpleUploadedFile(name, content)
    return client.post(UPLOAD, {"file": file, "kind": "csv", **how}, follow=True)


def work():
    """What a worker does, until the file is imported."""
    while run := ImportRun.objects.filter(ended_at=None).first():
        tasks.carry_on(str(run.pk))
    return ImportRun.objects.get()


def test_an_uploaded_file_is_imported_by_a_worker(client, importer):
    with worker(queues="live"):
        page = upload(client, file_of(300, bad={7}))
        run = ImportRun.objects.get()
        assert page.redirect_chain == [(reverse("admin:eventstore_importrun_change", args=[run.pk]), 302)]
        eventually(ImportRun.objects.filter(ended_at__isnull=False).exists)
    assert len(registered()) == 299
    page = text(client.get(page.redirect_chain[0][0]))
    assert "Enter a valid email address." in page
    assert "Ended" in page
    assert "data-poll" not in page


def test_the_file_itself_is_kept_no_longer_than_it_is_needed(client, importer):
    upload(client, file_of(3))
    assert ImportRun.objects.filter(content=file_of(3)).exists()
    assert work().content is None


def test_a_page_that_shows_progress_asks_for_itself_again(client, importer):
    page = upload(client, file_of(3))
    run = ImportRun.objects.get()
    panel = reverse("admin:eventstore_import_panel", args=[run.pk])
    assert f'data-poll="{panel}"' in text(page)
    assert "imported by workers" in text(client.get(panel))
    work()
    assert "HX-Refresh" in client.get(panel).headers


def test_refused_lines_are_downloaded_corrected_and_uploaded(client, importer):
    page = upload(client, file_of(3, bad={1}), name='cust"omers.csv')
    run = work()
    answer = client.get(reverse("admin:eventstore_import_refused", args=[run.pk]))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="cust_omers.errors.csv"'
    header, refused = answer.content.decode("utf-8-sig").splitlines()
    assert header == f"line,errors,{HEADER}"
    upload(client, f"{header}\n{refused.replace('nowhere', 'new@example.org')}\n".encode())
    again = ImportRun.objects.get(ended_at=None)
    tasks.carry_on(str(again.pk))
    assert registered() == ["customer0@example.org", "customer2@example.org", "new@example.org"]
    assert page.status_code == 200


def test_a_file_that_can_not_be_read_is_refused_at_once(client, importer):
    page = upload(client, b"mail\nada@example.org\n")
    assert "There is no column &#x27;mail&#x27;" in text(page)
    assert not ImportRun.objects.exists()


def test_how_it_is_written_and_what_is_to_be_made_of_it_is_chosen(client, importer):
    content = "name;email\nZoë;zoe@example.org\n".encode("windows-1252")
    upload(client, content, encoding="windows-1252", delimiter=";", welcome="on")
    run = work()
    assert (run.carried_out, run.options) == (1, {"welcome": True})


def test_a_run_that_a_command_left_is_named_as_one(client, importer):
    going = steps(file_of(300))
    next(going)
    going.close()
    page = text(client.get(reverse("admin:eventstore_importrun_change", args=[ImportRun.objects.get().pk])))
    assert "if that was stopped, run it again" in page
    tasks.tick()
    assert ImportRun.objects.get().ended_at is None


def test_a_run_whose_worker_died_is_taken_up_again(client, importer):
    upload(client, file_of(600))
    run = ImportRun.objects.get()
    going = runs.carry_on(run, BytesIO(file_of(600)))
    next(going)
    going.close()
    work()
    assert len(registered()) == 600


def test_the_list_says_when_it_is_empty_and_leads_to_the_upload(client, importer):
    page = text(client.get(LIST))
    assert "No file was imported yet." in page
    assert f'href="{UPLOAD}"' in page
    upload(client, f"{HEADER}\n{line(1)}\n".encode())
    assert "customers.csv" in text(client.get(LIST))


def test_who_may_not_import_can_not(client, staff):
    staff("eventstore.view_importrun")
    assert client.get(UPLOAD).status_code == 403
    assert UPLOAD not in text(client.get(LIST))


def test_who_may_not_see_imports_sees_none(client, staff):
    staff("eventstore.run_import")
    run = begin(file_of(1))
    assert client.get(LIST).status_code == 403
    for page in ("import_panel", "import_refused", "importrun_change"):
        assert client.get(reverse(f"admin:eventstore_{page}", args=[run.pk])).status_code == 403


def test_who_imported_is_called_by_name(client, importer):
    upload(client, file_of(3))
    run = work()
    assert run.by == f"staff:{importer.pk}"
    page = client.get(reverse("admin:eventstore_importrun_change", args=[run.pk]))
    assert page.context["by"] == "ada"
    for told in (text(page), text(client.get(LIST))):
        assert "ada" in told
        assert run.by not in told


def test_the_page_says_until_when_refused_lines_are_kept(client, importer, settings):
    settings.EVENTSTORE_IMPORTS_KEPT_DAYS = 7
    upload(client, file_of(3, bad={1}))
    run = work()
    page = text(client.get(reverse("admin:eventstore_importrun_change", args=[run.pk])))
    day = run.moved_at + timedelta(days=7)
    assert f"They are deleted on {day:%-d %b %Y}, with this page." in page


def test_refused_lines_are_deleted_at_once_by_who_may_import(client, importer):
    upload(client, file_of(3, bad={1}))
    run = work()
    at, delete = (reverse(f"admin:eventstore_{name}", args=[run.pk]) for name in PAGES)
    assert f'href="{delete}"' in text(client.get(at))
    assert "unless you have the file" in text(client.get(delete))
    assert run.refused_lines.count() == 1
    page = text(client.post(delete, follow=True))
    assert "The refused lines were deleted." in page
    assert "Refused lines as a file" not in page
    assert (run.refused_lines.count(), ImportRun.objects.get().refused) == (0, 1)
    assert LogEntry.objects.latest("pk").change_message == "Deleted the refused lines."


def test_refused_lines_are_not_deleted_by_who_may_only_look_nor_while_more_come(client, staff):
    staff("eventstore.view_importrun")
    going = steps(file_of(600, bad={1}))
    next(going)
    going.close()
    run = ImportRun.objects.get()
    at, delete = (reverse(f"admin:eventstore_{name}", args=[run.pk]) for name in PAGES)
    assert delete not in text(client.get(at))
    assert client.post(delete).status_code == 403
    runs.delete_refused(run)
    assert run.refused_lines.count() == 1


def test_an_import_is_deleted_with_its_refused_lines_once_it_is_kept_no_longer(client, importer):
    upload(client, file_of(3, bad={1}))
    run = work()
    tasks.tick()
    assert run.refused_lines.exists()
    ImportRun.objects.update(moved_at=timezone.now() - timedelta(days=31))
    tasks.tick()
    assert not ImportRun.objects.exists()
    assert not run.refused_lines.exists()
    assert len(registered()) == 2
