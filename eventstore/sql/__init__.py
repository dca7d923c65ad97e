"""The SQL that matters, one function a file, versioned by name.

A migration installs a file and pins its SHA-256: whoever edits an installed file gets an error, not a silent difference
between databases. A changed function is a new file with a new version in its name.
"""

from hashlib import sha256
from pathlib import Path

from django.db.migrations.operations import RunSQL

FOLDER = Path(__file__).parent


class Install(RunSQL):
    """Install one file of this folder."""

    def __init__(self, file: str, *, digest: str, reverse_sql: str = RunSQL.noop) -> None:
        self.file, self.digest = file, digest
        source = (FOLDER / file).read_bytes()
        found = sha256(source).hexdigest()
        if found != digest:
            raise ValueError(f"{file} was changed after a migration installed it: write a new version of the function.")
        super().__init__([source.decode()], reverse_sql)

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        return type(self).__name__, [self.file], {"digest": self.digest}

    def describe(self) -> str:
        return f"Install {self.file}"
