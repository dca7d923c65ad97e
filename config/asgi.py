import os

from django.core.asgi import get_asgi_application

from config.startup import prepare_to_append

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
prepare_to_append()
