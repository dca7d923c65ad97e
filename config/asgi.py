import os

from django.core.asgi import get_asgi_application

from config.startup import prepare_to_append
from eventstore.monitoring.heartbeat import SiteHeartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_POOL", "32")

site = get_asgi_application()
prepare_to_append()
SiteHeartbeat().start()

from config import urls  # noqa: E402, F401 - so that the first request need not load what it leads to
from ordering.api.body_limit import BodyLimit  # noqa: E402 - needs Django to be set up

application = BodyLimit(site)
