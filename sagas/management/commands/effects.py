"""Look at the ledger of side effects, and operate them."""

from eventstore.management.operating import SubscribersCommand
from eventstore.subscribers import Rank
from sagas.management import deliveries, fates


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.EFFECT
    parts = {**SubscribersCommand.parts, "list": deliveries, "show": fates}
