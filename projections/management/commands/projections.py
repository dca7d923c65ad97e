"""Look at projections and operate them."""

from eventstore.management.operating import SubscribersCommand
from eventstore.subscribers import Rank
from projections.management import lock


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.PROJECTION
    # A lock that is out of date is an error of the checks, and this is where it is mended; so none are run.
    parts = {**SubscribersCommand.parts, "lock": lock}
