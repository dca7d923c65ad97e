"""Look at projections and operate them."""

from eventstore.management.base import SubscribersCommand
from eventstore.subscriptions.subscriber import Rank
from projections.management import as_of, kept, lock


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.PROJECTION
    parts = {**SubscribersCommand.parts, "lock": lock, "as-of": as_of, "kept": kept}
