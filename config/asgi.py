import os

from django import setup

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
setup(set_prefix=False)

from config import urls  # noqa: E402, F401 - so that the first request need not load what it leads to
from config.serving import Site  # noqa: E402 - needs Django to be set up
from config.startup import limit_statements, prepare_to_append  # noqa: E402
from eventstore.monitoring.heartbeat import SiteHeartbeat  # noqa: E402
from ordering.api.body_limit import BodyLimit  # noqa: E402
from ordering.api.waiting import Waiting  # noqa: E402

limit_statements()
application = BodyLimit(Waiting(Site()))
prepare_to_append()
SiteHeartbeat().start()
