"""Files that are imported: one is uploaded, workers import it, and its page tells what became of it."""

from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from typing import Any
from uuid import UUID

import msgspec
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, Case, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from eventstore.admin import people
from eventstore.admin.lists import KeysetAdmin, polled
from eventstore.errors import EventstoreError
from eventstore.imports import error_file, runs, tasks
from eventstore.imports.importer import Importer, importers
from eventstore.imports.lines import CSV, JSON_LINES, Format, Lines
from eventstore.models import ImportRun

RUN_IMPORT = "eventstore.run_import"
LARGEST = 32 * 1024 * 1024
SHOWN = 200
"""Refused lines."""

ENCODINGS = {"": "UTF-8, or as its first bytes tell", "windows-1252": "Windows-1252", "utf-16-le": "UTF-16"}
DELIMITERS = {"": "as the first line shows", ",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class UploadForm(forms.Form):
    """A file, how it is written, and what the importer lets one choose."""

    file = forms.FileField(
        help_text=f"CSV or JSON lines, of at most {LARGEST // 1024 // 1024} MB. A larger one is for manage.py."
    )
    kind = forms.ChoiceField(label="Format", choices=[(CSV, "CSV"), (JSON_LINES, "JSON lines")])
    encoding = forms.ChoiceField(required=False, choices=ENCODINGS.items())
    delimiter = forms.ChoiceField(required=False, choices=DELIMITERS.items())

    def __init__(self, importer: Importer, *args: Any) -> None:
        super().__init__(*args)
        self.importer = importer
        for choice, what in importer.choices.items():
            self.fields[choice] = forms.BooleanField(required=False, label=what.capitalize())

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            raise forms.ValidationError("It is too large. Split it, or import it with manage.py.")
        return file

    def clean(self) -> dict[str, Any]:
        """The beginning of the file is looked at now: what can't be read at all isn't taken."""
        given: dict[str, Any] = super().clean() or {}
        if "file" in given:
            try:
                self._look_at(given["file"])
            except EventstoreError as refused:
                self.add_error("file", str(refused))
        return given

    def _look_at(self, file: Any) -> None:
        """Raises `FileRefused`."""
        content = BytesIO(file.read())
        file.seek(0)
        Lines(content, self.written(), columns=self.importer.columns, needed=self.importer.needed)

    def written(self) -> Format:
        given = self.cleaned_data
        return Format(kind=given["kind"], encoding=given["encoding"], delimiter=given["delimiter"])

    def options(self) -> Mapping[str, bool]:
        return {choice: self.cleaned_data[choice] for choice in self.importer.choices}


@admin.register(ImportRun)
class ImportRunAdmin(KeysetAdmin):
    """Every file, the newest first."""

    keyset = "began_at"
    when_empty = "No file was imported yet."
    change_list_template = "eventstore/admin/import_list.html"
    list_display = ["name", "importer", "imported", "skipped", "refused", "who", "began_at", "ended_at"]

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("upload/<slug:importer>/", site.admin_view(self.upload_view), name="eventstore_import_upload"),
            path(
                "<uuid:run_id>/panel/", polled(site, site.admin_view(self.panel_view)), name="eventstore_import_panel"
            ),
            path(
                "<uuid:run_id>/delete-refused/",
                site.admin_view(self.delete_refused_view),
                name="eventstore_import_delete",
            ),
            path("<uuid:run_id>/refused/", site.admin_view(self.refused_view), name="eventstore_import_refused"),
            *super().get_urls(),
        ]

    def prepare(self, rows: Sequence[Any]) -> None:
        people.prepare(rows, "by")

    @admin.display(description="imported")
    def imported(self, run: ImportRun) -> int:
        return run.carried_out

    @admin.display(description="skipped")
    def skipped(self, run: ImportRun) -> int:
        return run.repeated

    @admin.display(description="by")
    def who(self, run: ImportRun) -> str:
        return people.name_of(run, "by")

    def get_queryset(self, request: HttpRequest) -> Any:
        kept = Case(When(content__isnull=False, then=True), default=False, output_field=BooleanField())
        return super().get_queryset(request).defer("content").annotate(content_kept=kept)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        offered = [importer.name for importer in importers] if request.user.has_perm(RUN_IMPORT) else []
        return super().changelist_view(request, {"title": "Imports", "importers": offered, **(extra_context or {})})

    def upload_view(self, request: HttpRequest, importer: str) -> HttpResponse:
        if not request.user.has_perm(RUN_IMPORT):
            raise PermissionDenied
        found = {each.name: each for each in importers}.get(importer)
        if found is None:
            return redirect("admin:eventstore_importrun_changelist")
        form = UploadForm(found, request.POST, request.FILES) if request.method == "POST" else UploadForm(found)
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            run = runs.begin(
                importer,
                file,
                name=file.name[:200],
                written=form.written(),
                options=form.options(),
                by=f"staff:{request.user.pk}",
                keep=True,
            )
            self.log_change(request, run, f"Uploaded {run.name}.")
            tasks.ring(run)
            return redirect("admin:eventstore_importrun_change", run.pk)
        context = {
            "title": f"Import {importer}",
            "verb": "Import it",
            "form": form,
            "columns": found.columns,
            "needed": found.needed,
        }
        return self._page(request, "eventstore/admin/import_upload.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is None or not self.has_view_permission(request, run):
            return super().change_view(request, object_id, form_url, extra_context)
        return self._page(request, "eventstore/admin/import.html", self._about(request, run))

    def panel_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The panel alone, as long as there is something to wait for; then the whole page is made anew."""
        run = self._seen(request, run_id)
        if run.ended_at:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return self._page(request, "eventstore/admin/import_panel.html", self._about(request, run))

    def refused_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The file of refused lines."""
        run = self._seen(request, run_id)
        out, written = StringIO(), msgspec.convert(run.written, Format)
        error_file.write(out, runs.refused_of(run), written, run.header, run.delimiter)
        name = f"{run.name.rpartition('.')[0] or run.name}.errors.{written.kind}"
        return HttpResponse(
            out.getvalue().encode(error_file.ENCODING),
            content_type="text/csv" if written.kind == CSV else "application/jsonl",
            headers={"Content-Disposition": f'attachment; filename="{name.translate(UNQUOTED)}"'},
        )

    def delete_refused_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The refused lines are deleted, if that is confirmed."""
        run = self._seen(request, run_id)
        if not request.user.has_perm(RUN_IMPORT):
            raise PermissionDenied
        back = reverse("admin:eventstore_importrun_change", args=[run.pk])
        if request.method == "POST":
            runs.delete_refused(run)
            self.log_change(request, run, "Deleted the refused lines.")
            return redirect(back)
        context = {
            "title": f"Delete the refused lines: {run.name}",
            "previews": ["They can't be corrected and imported then, unless you have the file."],
            "verb": "delete them",
            "back": back,
        }
        return self._page(request, "eventstore/admin/confirm.html", context)

    def _seen(self, request: HttpRequest, run_id: UUID) -> ImportRun:
        run: ImportRun = get_object_or_404(self.get_queryset(request), pk=run_id)
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        return run

    def _about(self, request: HttpRequest, run: ImportRun) -> dict[str, Any]:
        refused = [{"number": number, "faults": faults} for number, _, faults in runs.refused_of(run, most=SHOWN)]
        return {
            "title": run.name,
            "run": run,
            "by": people.name_of(run, "by"),
            "kept_until": runs.kept_until(run),
            "percent": 100 if not run.size else 100 * run.read / run.size,
            "refused": refused,
            "shown": SHOWN,
            "may_run": request.user.has_perm(RUN_IMPORT),
        }

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shown = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, template, shown)


UNQUOTED = str.maketrans('"\\\r\n', "____")
"""What the name of a file may not have in a header."""
