"""Look at watches and at what they have found, ask them once more, and operate them."""

from eventstore.management.base import SubscribersCommand
from eventstore.subscriptions.subscriber import Rank
from projections.management import check_watches, list_watches


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.WATCH
    parts = {**SubscribersCommand.parts, "list": list_watches, "check": check_watches}
