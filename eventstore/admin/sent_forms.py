"""Forms that are safe to send twice, as a double click does, or a proxy that tries again."""

from uuid import UUID, uuid5

import msgspec
from django.http import QueryDict

from eventstore.context import new_id

FORM_ID = "form_id"
"""The hidden field with what was drawn when the form was shown."""

PER_SESSION = "csrfmiddlewaretoken"


def drawn() -> tuple[str, str]:
    """The hidden field of a form that is shown now: its name and its value."""
    return FORM_ID, str(new_id())


def request_id(said: QueryDict) -> UUID | None:
    """The id of what a form asks for, made of the id that was drawn for it and of all that it says; None where none
    was drawn.

    The same form sent twice asks for one thing. What was refused and corrected, or filled in otherwise a page back,
    asks for another.
    """
    try:
        form_id = UUID(said.get(FORM_ID, ""))
    except ValueError:
        return None
    answers = sorted((name, values) for name, values in said.lists() if name != PER_SESSION)
    return uuid5(form_id, msgspec.json.encode(answers).decode())
