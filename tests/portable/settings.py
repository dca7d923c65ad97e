import os
from urllib.parse import parse_qs, unquote, urlsplit

url = urlsplit(os.environ["SPARE_DATABASE_URL"])

SECRET_KEY = "portable"
INSTALLED_APPS = ["django.contrib.contenttypes", "eventstore", "projections", "sagas", "library"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.removeprefix("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": parse_qs(url.query).get("host", [url.hostname or ""])[0],
        "PORT": url.port or "",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
