import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

site = get_asgi_application()

from ordering.api.limits import BodyLimit  # noqa: E402 - needs Django to be set up

application = BodyLimit(site)
