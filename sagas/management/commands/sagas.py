"""Look at sagas, the commands they send and the timers they set, and operate them."""

from eventstore.management.base import SubscribersCommand
from eventstore.subscriptions.subscriber import Rank
from sagas.management import list_commands, list_instances, list_timers, rehearse, show_instance


class Command(SubscribersCommand):
    help = __doc__
    rank = Rank.SAGA
    parts = {
        **SubscribersCommand.parts,
        "list": list_instances,
        "show": show_instance,
        "commands": list_commands,
        "timers": list_timers,
        "rehearse": rehearse,
    }
