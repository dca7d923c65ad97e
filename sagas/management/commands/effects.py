"""Look at the ledger of side effects, and operate them."""

from eventstore.management.base import SubscribersCommand
from eventstore.subscriptions.subscriber import Rank
from sagas.management import list_deliveries, show_event


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.EFFECT
    parts = {**SubscribersCommand.parts, "list": list_deliveries, "show": show_event}
