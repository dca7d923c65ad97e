"""A command of a saga that a rule refused is an event like any other, in a stream of the instance."""

from abc import ABC, abstractmethod
from uuid import UUID, uuid5

from eventstore.events import Event, event
from sagas.steps import NAMESPACE


@event("saga.command-refused", standalone=True)
class CommandRefused(Event):
    """A command of a saga was refused by a rule: recorded, so that the saga hears of it like of anything else."""

    saga: str
    key: str
    command_id: UUID
    command: str
    code: str
    detail: str


class Answering(ABC):
    """Whoever sends commands, and says what follows when a rule refuses one of them."""

    @abstractmethod
    def answers(self, command: str) -> bool:
        """Whether it does so for a command with this stored name. Nobody else will."""


def refusal_stream(saga: str, key: str) -> UUID:
    """The stream that keeps the refusals an instance met with."""
    return uuid5(NAMESPACE, f"{saga}/{key}")
