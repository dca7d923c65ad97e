"""Mail for a machine without a mail server: every message becomes a file of its own in the home."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class FileBackend(BaseEmailBackend):
    """Writes `<time>-<uuid>.eml` into the folder `mail` of BOXOFFICE_HOME; names sort by time."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Files the messages and returns how many there were."""
        folder = Path(settings.BOXOFFICE_HOME) / "mail"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for message in email_messages:
            _file(folder, message.message().as_bytes())
        return len(email_messages)


def _file(folder: Path, content: bytes) -> None:
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid4()}"
    partial = folder / f".{name}"
    partial.write_bytes(content)
    partial.rename(folder / f"{name}.eml")  # whoever looks for *.eml never sees half a message
