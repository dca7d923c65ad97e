"""Look at watches and at what they have found, ask them once more, and operate them."""

from collections.abc import Iterable
from itertools import chain

from eventstore.management.base import SubscribersCommand
from eventstore.operations.base import Operation
from eventstore.operations.incidents import Resolve
from eventstore.subscriptions.subscriber import Rank
from projections.management import check_watches, list_watches


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.WATCH
    parts = {**SubscribersCommand.parts, "list": list_watches, "check": check_watches}

    def kinds(self) -> Iterable[type[Operation]]:
        return chain(super().kinds(), [Resolve])
