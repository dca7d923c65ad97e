"""What a subscriber may want sent once it has applied an event: rows in a table of its own, sent after the commit.

The transactional outbox of microservices.io: what is to be sent is saved where the checkpoint is, so nothing is sent
that was rolled back, and nothing is forgotten that was committed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, LiteralString


class Outbox(ABC):
    """One such table, as those see it who wait until everything that began with a command is at rest.

    Its SQL is asked in one statement with the checkpoints, for in two moments a command can be in neither answer. It
    knows `%(root)s`, the id of the command that began the chain, and what `parameters` gives.
    """

    unfinished: LiteralString
    """Whether something that began with this root is unsent."""

    result: LiteralString
    """The last position that was appended by what was sent; null where nothing was."""

    due: LiteralString
    """What can be sent now of what began with this root, as one JSON array; null where that is nothing."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What the SQL asks for besides the root, for this process."""

    @abstractmethod
    def send_next(self, due: Sequence[Any], *, patience: float, using: str) -> bool:
        """Send one thing that is due, the first that nobody else is at, waiting at most `patience` seconds for a lock.

        False if there was none.
        """

    @abstractmethod
    def remind(self, *, using: str) -> None:
        """Call workers for what is left."""
