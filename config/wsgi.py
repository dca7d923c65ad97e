import os

from django.core.wsgi import get_wsgi_application

from config.startup import limit_statements, prepare_to_append
from eventstore.monitoring.heartbeat import SiteHeartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
limit_statements()
prepare_to_append()
SiteHeartbeat().start()

from config import urls  # noqa: E402, F401 - so that the first request need not load what it leads to
