"""What the list of events is filtered by."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django import forms
from django.contrib.auth import get_user_model
from django.utils.timezone import localtime

from eventstore.admin.people import KINDS
from eventstore.browsing.search import LAST, NoDataTerm, Search, data_path
from eventstore.codec import formers, stored_names
from eventstore.commands import routes
from eventstore.events import catalogue
from eventstore.store import position_at

FIELDS = ("q", "type", "of", "stream_id", "correlation_id", "actor", "since", "until", "content")


class LogFilter(forms.Form):
    """All that is filled in must hold."""

    type = forms.ChoiceField(label="Type", required=False)
    of = forms.ChoiceField(label="Category", required=False)
    q = forms.CharField(
        label="Position or stream", required=False, max_length=100, help_text="12, 12-20, or the id of a stream"
    )
    correlation_id = forms.UUIDField(label="Correlation", required=False)
    actor = forms.CharField(label="Actor", required=False, max_length=200, help_text="a user name, or such as staff:7")
    content = forms.CharField(
        label="Data", required=False, max_length=1_000, help_text="field=value, such as order_id=0192…"
    )
    since = forms.DateTimeField(label="From", required=False)
    until = forms.DateTimeField(label="Until", required=False)
    stream_id = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = {event.stored for event in catalogue} | {each.name for each in formers()}
        for name, choices in (("type", types), ("of", {kind.category for kind, _ in routes.listed})):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", "any"), *((each, each) for each in sorted(choices))]
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})

    def clean_content(self) -> str:
        try:
            return data_path(self.cleaned_data["content"]) if self.cleaned_data["content"] else ""
        except NoDataTerm as wrong:
            raise forms.ValidationError(str(wrong)) from wrong

    @property
    def said(self) -> dict[str, Any]:
        """The fields that mean something and have a value."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in {None, ""}}

    def search(self, upto: int) -> Search:
        """What to search for, up to a position."""
        said = self.said
        found = _named(said.get("q", ""))
        after = max(found.after, position_at(said["since"]) if "since" in said else 0)
        upto = min(found.upto, upto, position_at(said["until"]) if "until" in said else LAST)
        return Search(
            types=_types(said),
            stream_id=said.get("stream_id") or found.stream_id,
            correlation_id=said.get("correlation_id"),
            actors=_actors(said["actor"]) if "actor" in said else (),
            data=said.get("content", ""),
            after=after,
            upto=upto,
        )

    def words(self) -> Iterator[tuple[str, str]]:
        """What was filled in, each by its label."""
        for name, value in self.said.items():
            label = str(self.fields[name].label or "Stream")
            shown = self.data.get(name) if name == "content" else value
            yield label, f"{localtime(shown):%Y-%m-%d %H:%M:%S}" if isinstance(shown, datetime) else str(shown)


class Named(NamedTuple):
    """What a position, a range of them or an id stands for."""

    stream_id: UUID | None = None
    after: int = 0
    upto: int = LAST


def _named(term: str) -> Named:
    """What is neither finds nothing."""
    if said := re.fullmatch(r"([\d,]+)(?:\s*-\s*([\d,]+))?", term, re.ASCII):
        first, last = (int(digits.replace(",", "") or 0) for digits in (said[1], said[2] or said[1]))
        return Named(after=min(first, LAST) - 1, upto=min(last, LAST))
    try:
        return Named(UUID(term)) if term else Named()
    except ValueError:
        return Named(upto=0)


def _types(said: dict[str, Any]) -> frozenset[str] | None:
    """The names under which the events are stored that are asked for; a category has those of its aggregate."""
    wanted = [frozenset({said["type"]})] if "type" in said else []
    if "of" in said:
        kind = next(kind for kind, _ in routes.listed if kind.category == said["of"])
        wanted.append(frozenset[str]().union(*map(stored_names, kind.evolvers)))
    return frozenset.intersection(*wanted) if wanted else None


def _actors(said: str) -> list[str]:
    """An actor as it is stored, and who has this user name."""
    users = get_user_model()
    found = users._default_manager.filter(**{users.USERNAME_FIELD: said}).first()
    return [said, *(f"{kind}:{found.pk}" for kind in KINDS if found)]
