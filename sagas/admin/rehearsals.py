"""Rehearsals of sagas: how far each is, and what came of it."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin, event_link, pretty
from sagas.admin.base import SagaFilter
from sagas.models import RehearsalRun
from sagas.rehearsal_runs import verdict


@admin.register(RehearsalRun)
class RehearsalRunAdmin(KeysetAdmin):
    """The newest first. One is asked for on the page of a saga."""

    when_empty = "No saga was ever rehearsed here. It is asked for on the page of a saga, before its code is deployed."
    list_display = ["id", "saga", "came_of_it", "requested_by", "requested_at", "finished_at"]
    list_filter = [SagaFilter]
    fields = [
        ("saga", "since", "came_of_it"),
        ("requested_by", "requested_at", "finished_at"),
        ("read", "rehearsed_by"),
        "differences",
    ]

    @admin.display(description="what came of it")
    def came_of_it(self, run: RehearsalRun) -> str:
        if run.error:
            return f"it can't be told: {run.error}"
        if run.finished_at is None:
            return f"{100 * run.done / run.total:.0f} % is read" if run.total else "waits for a worker"
        if not run.differing:
            return f"no difference among {run.instances or 0:,} instance{'s' * (run.instances != 1)}"
        return verdict(run)

    @admin.display(description="since")
    def since(self, run: RehearsalRun) -> str:
        if run.since_time:
            return f"{run.since_time:%Y-%m-%d %H:%M:%S}"
        return "the beginning" if run.since_position is None else f"position {run.since_position:,}"

    @admin.display(description="positions read")
    def read(self, run: RehearsalRun) -> str:
        return f"{run.done:,} of {run.total:,}" if run.total else "none yet"

    @admin.display(description="differences")
    def differences(self, run: RehearsalRun) -> SafeString | str:
        """By instance and event: what was done, and what would be."""
        rows = [
            (one["key"], event_link(each["position"]), each["type"], _steps(each["taken"]), _would(each))
            for one in run.found.get("differences", ())
            for each in one["differences"]
        ]
        told = (
            '<div class="wide"><strong>{}</strong> · {} {}</div>'
            '<dl class="facts"><dt>did</dt><dd>{}</dd><dt>would</dt><dd>{}</dd></dl>'
        )
        return format_html_join("", told, rows) or "none"


def _would(difference: dict[str, Any]) -> SafeString | str:
    return f"be parked: {difference['error']}" if difference["error"] else _steps(difference["would_take"])


def _steps(steps: list[dict[str, Any]]) -> SafeString | str:
    return format_html_join("", "{}", ((pretty({k: v for k, v in step.items() if v}),) for step in steps)) or "nothing"
