"""What sagas and effects may refuse, one class a reason."""

from eventstore.errors import EventstoreError


class TooManyHops(EventstoreError):
    """More than 50 commands of sagas followed from one request: they are going in circles."""

    code = "too-many-hops"
