"""Bank statements: uploaded, looked at, and booked."""

from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils import timezone

from ordering.admin import timeline
from ordering.admin.acts import ActsAdmin
from ordering.models import StatementFile
from ordering.providers.statements import booking
from ordering.providers.statements.booking import Judged, Verdict
from ordering.providers.statements.line import StatementRefused

BOOK_STATEMENT = "ordering.book_statement"
LARGEST = 4 * 1024 * 1024
KEPT = timedelta(days=1)
SHOWN = 200
"""Lines of each kind, and faults."""

SAID = {
    Verdict.MATCHED: ("Matched", "The reference of one payment, and its amount. Credited to the order."),
    Verdict.OTHER_AMOUNT: (
        "Another amount",
        "The reference of one payment, but too little or too much. Credited to the order, like any such payment.",
    ),
    Verdict.DOUBTFUL: (
        "Doubtful",
        "Nearly a reference, several, or an order that is paid in another way. Kept with the unmatched payments.",
    ),
    Verdict.RECORDED: (
        "Recorded by hand?",
        "Somebody has recorded as much for the order about that day. The same money is not booked once more.",
    ),
    Verdict.UNKNOWN: ("Unknown", "Money that names no payment. Left out, unless it is to be kept."),
    Verdict.KNOWN: ("Known already", "Booked before. Nothing happens to it."),
    Verdict.OUTGOING: ("Not received", "What left the account, or was taken back by a bank. Left out."),
}


class UploadForm(forms.Form):
    """A file, and how it is to be read if it is CSV."""

    file = forms.FileField(
        label="Statement",
        help_text=f"CAMT.053 or CSV, of at most {LARGEST // 1024 // 1024} MB, as the bank exports it.",
    )
    currency = forms.RegexField(
        "^[A-Z]{3}$",
        strip=True,
        required=False,
        label="Currency",
        help_text="For a CSV file that doesn't say it, such as EUR.",
        error_messages={"invalid": "Three capital letters, such as EUR."},
    )
    decimal_separator = forms.ChoiceField(
        required=False,
        label="Decimals",
        choices=[("", "as the file shows"), (",", "behind a comma"), (".", "behind a point")],
        help_text="For a CSV file where 1.234 could be either.",
    )
    american_dates = forms.BooleanField(required=False, label="12/31/2026 is a date")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            raise forms.ValidationError("It is too large. Split it, or use manage.py import_statement.")
        return file

    def options(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "currency": given["currency"],
            "decimal_separator": given["decimal_separator"] or None,
            "american_dates": given["american_dates"],
        }


class BookForm(forms.Form):
    keep_unknown = forms.BooleanField(required=False, label="Keep what is unknown with the unmatched payments")


class StatementsAdmin(ActsAdmin):
    """Adds the pages of bank statements to those of the money that nobody knows."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("statement/", view(self.upload_view), name="ordering_statement"),
            path("statement/<uuid:statement_id>/", view(self.statement_view), name="ordering_statement_lines"),
            *super().get_urls(),
        ]

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        self._must_book(request)
        form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
        faults: list[str] = []
        if request.method == "POST" and form.is_valid():
            content, options = form.cleaned_data["file"].read(), form.options()
            try:
                for _ in booking.read(BytesIO(content), options):
                    break
            except StatementRefused as refused:
                faults = [str(each) for each in refused.faults]
            else:
                StatementFile.objects.filter(uploaded_at__lt=timezone.now() - KEPT).delete()
                name = form.cleaned_data["file"].name[:200]
                kept = StatementFile.objects.create(name=name, content=content, options=options)
                return redirect("admin:ordering_statement_lines", kept.pk)
        context = {
            "title": "Bank statement",
            "verb": "Look at it",
            "form": form,
            "faults": faults[:SHOWN],
            "more_faults": max(0, len(faults) - SHOWN),
        }
        return self.page(request, "admin/ordering/statement.html", context)

    def statement_view(self, request: HttpRequest, statement_id: UUID) -> HttpResponse:
        """What the lines are, and then what became of them."""
        self._must_book(request)
        if request.method == "POST" and not StatementFile.objects.filter(pk=statement_id).exists():
            messages.info(request, "This statement was booked already, or it is too old to be here still.")
            return redirect("admin:ordering_statement")
        kept = get_object_or_404(StatementFile, pk=statement_id)
        judged = booking.judge(booking.read(BytesIO(bytes(kept.content)), kept.options))
        form = BookForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            answers = {each.line.id: request.POST.get(f"same-{each.line.id}") for each in judged if each.by_hand}
            same = {line_id: answer == "yes" for line_id, answer in answers.items() if answer}
            booked = booking.book(judged, actor=f"staff:{request.user.pk}", same=same, **form.cleaned_data)
            self.log_change(request, kept, f"Booked the bank statement {kept.name}.")
            self._tell(request, booked, **form.cleaned_data)
            if not booked[Verdict.REFUSED]:
                kept.delete()
                return redirect("admin:ordering_statement")
            return redirect("admin:ordering_statement_lines", kept.pk)
        return self.page(request, "admin/ordering/statement_lines.html", self._shown(kept, judged, form))

    def _shown(self, kept: StatementFile, judged: list[Judged], form: BookForm) -> dict[str, Any]:
        counted = booking.counted(judged)
        who = timeline.names(each.by_hand.actor for each in judged if each.by_hand)
        groups = [
            {
                "verdict": verdict,
                "title": title,
                "about": about,
                "count": counted[verdict][0],
                "sums": counted[verdict][1],
                "lines": [
                    {
                        "found": each,
                        "who": who.get(each.by_hand.actor, each.by_hand.actor) if each.by_hand else "",
                        "why": each.why,
                    }
                    for each in judged
                    if each.verdict is verdict
                ][:SHOWN],
            }
            for verdict, (title, about) in SAID.items()
            if verdict in counted
        ]
        to_book = sum(counted[verdict][0] for verdict in booking.BOOKED if verdict in counted)
        return {
            "title": f"Bank statement {kept.name}",
            "groups": groups,
            "form": form,
            "to_book": to_book,
            "may_keep": Verdict.UNKNOWN in counted,
            "asked": Verdict.RECORDED in counted,
            "most": SHOWN,
        }

    def _tell(self, request: HttpRequest, booked: Mapping[Verdict, int], *, keep_unknown: bool) -> None:
        kept = booked[Verdict.DOUBTFUL] + booked[Verdict.UNKNOWN] * keep_unknown
        credited = booked[Verdict.MATCHED] + booked[Verdict.OTHER_AMOUNT]
        told = {"Credited to orders": credited, "To be assigned": kept, "Known already": booked[Verdict.KNOWN]}
        if booked[Verdict.RECORDED]:
            told["Still to be answered"] = booked[Verdict.RECORDED]
        messages.success(request, " ".join(f"{what}: {count}." for what, count in told.items()))
        if booked[Verdict.REFUSED]:
            messages.warning(request, f"Refused: {booked[Verdict.REFUSED]}, for reasons that the log says.")

    def _must_book(self, request: HttpRequest) -> None:
        if not request.user.has_perm(BOOK_STATEMENT):
            raise PermissionDenied
