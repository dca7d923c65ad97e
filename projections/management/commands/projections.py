"""Look at projections and operate them."""

from eventstore.management.operating import SubscribersCommand
from eventstore.subscribers import Rank
from projections.management import lock


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.PROJECTION
    parts = {**SubscribersCommand.parts, "lock": lock}
