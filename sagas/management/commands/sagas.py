"""Look at sagas, the commands they send and the timers they set, and operate them."""

from eventstore.management.operating import SubscribersCommand
from eventstore.subscribers import Rank
from sagas.management import armed, instances, sent, story


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.SAGA
    parts = {**SubscribersCommand.parts, "list": instances, "show": story, "commands": sent, "timers": armed}
