"""Settings, all from the environment, each with a default; `make run` sets what the bundled servers need."""

import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import environ
from django.core.management.utils import get_random_secret_key

from config import logs, unfold

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

BOXOFFICE_HOME = Path(env.str("BOXOFFICE_HOME", default=str(BASE_DIR / "var"))).absolute()

DEBUG = env.bool("DEBUG", default=False)
# Without a key of its own a process still starts, but nothing it signs is valid in any other.
SECRET_KEY = env.str("SECRET_KEY", default="") or get_random_secret_key()
UNSET_KEYS = [name for name in ("SECRET_KEY", "CLAIM_KEY") if not env.str(name, default="")]
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BASE_URL = env.str("BASE_URL", default=f"http://localhost:{env.int('PORT', default=8000)}")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "config.admin.ThemedAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
    "config.apps.ProjectConfig",
    "eventstore",
    "projections",
    "sagas",
    "ordering",
]

MIDDLEWARE = [
    "eventstore.middleware.tracing",
    "config.headers.SecurityHeaders",
    "config.https.RefuseOverHttp",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.unavailable.RequestLog",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.unavailable.Unavailable",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


# A server that says nothing is given up, and one with which nothing is spoken for a while is asked whether it is there:
# a firewall would forget the connection, and whoever used it next would wait for a quarter of an hour.
REACHING = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


# Two roles from the first day: the owner migrates and swaps read tables, the application only reads and appends.
# `owner` stands first so that whatever makes a database makes it as the owner.
def _database(variable: str, default: str) -> dict[str, Any]:
    database = dict(env.db_url(variable, default=default))
    # The folder of a unix socket comes as `?host=/folder`, because environ does not decode host names.
    database["HOST"] = database.get("OPTIONS", {}).pop("host", database["HOST"])
    database["OPTIONS"] = REACHING | database.get("OPTIONS", {})
    return database | {"CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=None), "CONN_HEALTH_CHECKS": True}


_DATABASE_URL = env.str("DATABASE_URL", default="") or "postgres:///boxoffice"
DATABASES = {
    "owner": _database("DATABASE_OWNER_URL", default=_DATABASE_URL),
    "default": _database("DATABASE_URL", default=_DATABASE_URL),
}
# Of one process of the site: how many requests it serves at once, each with a connection of its own, and how many wait.
SITE_THREADS = env.int("SITE_THREADS", default=16)
SITE_QUEUE = env.int("SITE_QUEUE", default=400)
SITE_LOCK_TIMEOUT_SECONDS = env.float("SITE_LOCK_TIMEOUT_SECONDS", default=2.0)
SITE_STATEMENT_TIMEOUT_SECONDS = env.float("SITE_STATEMENT_TIMEOUT_SECONDS", default=30.0)
MIN_POSITION_SECONDS = env.float("MIN_POSITION_SECONDS", default=2.0)
EVENTSTORE_OWNER_ALIAS = "owner"
EVENTSTORE_LOCK = BASE_DIR / "ordering" / "events.lock"
EVENTSTORE_EXAMPLES = BASE_DIR / "tests" / "contract" / "stored_events.json"
PROJECTIONS_LOCK = BASE_DIR / "ordering" / "projections.lock"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = env.str("BROKER_URL", default=REDIS_URL)
# After so many tasks Celery closes the connections of a process; otherwise after each. config.celery looks after them.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # there are none, so beat need not have them removed every night
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "live"
CELERY_TASK_ROUTES = {
    "projections.tasks.fill": {"queue": "rebuild"},
    "sagas.tasks.rehearse": {"queue": "rebuild"},
    "sagas.tasks.deliver": {"queue": "effects"},
    "sagas.tasks.send_webhooks": {"queue": "effects"},
    # What the clock asks for never waits behind work that takes its time.
    "*.tasks.tick": {"queue": "clock"},
    "projections.tasks.verify_samples": {"queue": "clock"},
}
# A message is taken and forgotten when there is somebody to work: the clock makes good a lost one, while one that is
# held without being acknowledged ends the worker when Redis goes away.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
# About tasks that are acknowledged late, of which there are none; but without it each lost connection warns of it.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# For who publishes; who consumes has others, see config.celery.
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_timeout": 0.25,
        "socket_connect_timeout": 0.25,
        "max_retries": 0,
        "retry_on_timeout": False,
    }
CELERY_BEAT_SCHEDULER = "eventstore.monitoring.heartbeat:Scheduler"
CELERY_BEAT_SCHEDULE = {"tick": {"task": "config.tasks.tick", "schedule": timedelta(seconds=1)}}

# A share of the keys of every projection is folded anew and compared, another share each time; 0 hours for never.
PROJECTIONS_VERIFY_SAMPLE = env.float("VERIFY_SAMPLE", default=0.01)
PROJECTIONS_APPROVED_BY_ANOTHER = env.bool("REBUILDS_APPROVED_BY_ANOTHER", default=False)
if VERIFY_HOURS := env.float("VERIFY_HOURS", default=24.0):
    CELERY_BEAT_SCHEDULE["projections-verify"] = {
        "task": "projections.tasks.verify_samples",
        "schedule": timedelta(hours=VERIFY_HOURS),
    }

CELERY_BEAT_SCHEDULE["forget-keyed-calls"] = {
    "task": "ordering.tasks.forget_keyed_calls",
    "schedule": timedelta(hours=1),
}

CELERY_BEAT_SCHEDULE["prune-webhooks"] = {
    "task": "sagas.tasks.prune_webhooks",
    "schedule": timedelta(hours=1),
}

# Of those that are installed, Stripe alone can be asked what became of a payment.
if env.str("STRIPE_SECRET_KEY", default=""):
    CELERY_BEAT_SCHEDULE["ask-providers"] = {
        "task": "ordering.tasks.ask_providers",
        "schedule": timedelta(minutes=1),
    }

AUTHENTICATION_BACKENDS = ["ordering.sign_in.Brakes", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [{"NAME": f"ordering.api.passwords.{name}"} for name in ("MoreThanSpaces", "EndsTokens")]

UNFOLD = unfold.UNFOLD
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
FORMAT_MODULE_PATH = "config.formats"

BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
PROXIES = env.int("PROXIES", default=int(BEHIND_PROXY))
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["ordering.api.access.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["ordering.api.parsers.Json"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "ordering.api.schema.Contract",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "ordering.api.problems.handle",
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": PROXIES,
}
THROTTLE_REGISTER = env.str("THROTTLE_REGISTER", default="120/min")
THROTTLE_TOKEN = env.str("THROTTLE_TOKEN", default="60/min")
THROTTLE_ACCOUNT = env.str("THROTTLE_ACCOUNT", default="20/hour")
THROTTLE_LINKS = env.str("THROTTLE_LINKS", default="30/hour")
THROTTLE_MAILBOX = env.str("THROTTLE_MAILBOX", default="5/hour")
REST_KNOX = {"TOKEN_TTL": timedelta(hours=env.int("TOKEN_HOURS", default=24))}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Boxoffice",
    "DESCRIPTION": "Sells seats for conferences, and remembers everything.",
    "VERSION": "1.0.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PATH_CONVERTER_OVERRIDES": {"id": UUID},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "OrderStatusEnum": "ordering.models.OrderSummary.Status",
        "PaymentStatusEnum": "ordering.api.orders.PAYMENT_STATUSES",
        "RefundStatusEnum": "ordering.api.orders.REFUND_STATUSES",
        "EntryStatusEnum": "ordering.models.WaitlistEntry.Status",
        "ConferenceStatusEnum": "ordering.models.ConferenceSummary.Status",
        "PendingStatusEnum": ["pending"],
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SERVERS": [{"url": "/", "description": "This site."}],
    "TAGS": [
        {"name": "auth", "description": "Tokens, which say who calls."},
        {"name": "customers", "description": "Who orders."},
        {"name": "conferences", "description": "What is on sale."},
        {"name": "orders", "description": "Seats, and what became of them and of their money."},
        {"name": "waitlist", "description": "Seats that can't be ordered now."},
        {"name": "webhooks", "description": "What payment providers report."},
        {"name": "webhook-endpoints", "description": "Where other systems are told of events."},
        {"name": "sandbox", "description": "Playing the customer at the provider's page."},
        {"name": "events", "description": "The log, for other systems to follow."},
        {"name": "consumers", "description": "Where those systems are."},
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "ordering.api.schema.completed",
    ],
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BOXOFFICE_HOME / "static"
WHITENOISE_USE_FINDERS = True

# One switch for a site that is reached by HTTPS only, which is every site but the one on a laptop.
HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=365 * 24 * 3600 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
# About subdomains and preload lists: they bind other sites of the domain, and browsers remember that for a year. So
# whoever owns the domain has to decide that, and nothing warns of leaving them off.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

if env.str("EMAIL_URL", default=""):
    globals().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "config.mail.FileBackend"
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=10)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Boxoffice <boxoffice@localhost>")
SERVER_EMAIL = env.str("SERVER_EMAIL", default=DEFAULT_FROM_EMAIL)
EMAIL_SUBJECT_PREFIX = "[Boxoffice] "
ADMINS = [(address, address) for address in env.list("ADMINS", default=[])]

LOGGING = logs.configure(json=env.str("LOG_FORMAT", default="") == "json", level=env.str("LOG_LEVEL", default="INFO"))
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_CELERY_TASK_FAILURE_LOG_LEVEL = logging.WARNING  # of an outage; anything else is an error
DJANGO_STRUCTLOG_REQUEST_CANCELLED_LOG_LEVEL = logging.INFO  # clients leave, and who follows the log always does
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_TRUST_UPSTREAM_CORRELATION_ID = True  # ours: the tracing middleware stands before

# The business.
PAYMENT_PROVIDER = env.str("PAYMENT_PROVIDER", default="sandbox")
PAYMENT_WEBHOOK_SECRET = env.str("PAYMENT_WEBHOOK_SECRET", default="") or SECRET_KEY
BANK_TRANSFER_HOLDER = env.str("BANK_TRANSFER_HOLDER", default="")
BANK_TRANSFER_IBAN = env.str("BANK_TRANSFER_IBAN", default="")
BANK_TRANSFER_BIC = env.str("BANK_TRANSFER_BIC", default="")
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
STRIPE_API_URL = env.str("STRIPE_API_URL", default="") or "https://api.stripe.com"
STRIPE_RETURN_URL = env.str("STRIPE_RETURN_URL", default="") or BASE_URL
PAYMENT_EXCESS = env.dict("PAYMENT_EXCESS", default={})  # by provider: `at once` or `staff`
PAYMENT_PENDING_HOURS = env.float("PAYMENT_PENDING_HOURS", default=72.0)
CANCELLED_ORDERS_PER_MINUTE = env.int("CANCELLED_ORDERS_PER_MINUTE", default=300)
PAYMENT_REMINDER_HOURS = env.float("PAYMENT_REMINDER_HOURS", default=24.0)
WAITLIST_OFFER_HOURS = env.float("WAITLIST_OFFER_HOURS", default=24.0)
STATUS_MAIL_MINUTES = env.int("STATUS_MAIL_MINUTES", default=5)  # 0: at any time
UNPAID_ORDERS = env.int("UNPAID_ORDERS", default=3)
UNPAID_SEATS = env.int("UNPAID_SEATS", default=20)
IDEMPOTENCY_HOURS = env.float("IDEMPOTENCY_HOURS", default=24.0)
CONSUMERS_PER_USER = env.int("CONSUMERS_PER_USER", default=20)
PROFILE_LINK_DAYS = env.int("PROFILE_LINK_DAYS", default=90)  # 0: for good
PASSWORD_LINK_MINUTES = env.int("PASSWORD_LINK_MINUTES", default=60)
EMAIL_LINK_MINUTES = env.int("EMAIL_LINK_MINUTES", default=60)
MAIL_DOMAIN = env.str("MAIL_DOMAIN", default="boxoffice.localhost")
# Uniqueness is kept by hashes under this key, so it outlives the other one: a new key would free every taken address.
EVENTSTORE_CLAIM_KEY = env.str("CLAIM_KEY", default="") or SECRET_KEY
EVENTSTORE_CLAIM_KEY_FALLBACKS = env.list("CLAIM_KEY_FALLBACKS", default=[])
EVENTSTORE_HALT_AT = env.int("HALT_AT", default=25)
EVENTSTORE_MODES = env.dict("SUBSCRIBER_MODES", default={})
EVENTSTORE_ONLY = env.list("ONLY_SUBSCRIBERS", default=[]) or None
EVENTSTORE_NOTIFIERS = env.list("NOTIFIERS", default=["eventstore.monitoring.notifications.mail_admins"])
EVENTSTORE_AFFECTED = ["ordering.affected.concerned"]
EVENTSTORE_ADMIN_URL = f"{BASE_URL}/admin"
EVENTSTORE_HEALTH_CHECK_SECONDS = env.float("HEALTH_CHECK_SECONDS", default=5.0)
EVENTSTORE_HEARTBEAT_TIMEOUT_SECONDS = env.float("HEARTBEAT_TIMEOUT_SECONDS", default=15.0)
EVENTSTORE_STUCK_AFTER_SECONDS = env.float("STUCK_AFTER_SECONDS", default=120.0)
EVENTSTORE_FORGET_AFTER_SECONDS = env.float("FORGET_AFTER_SECONDS", default=600.0)
EVENTSTORE_STALLED_AFTER_SECONDS = env.float("STALLED_AFTER_SECONDS", default=30.0)
EVENTSTORE_RAISE_AFTER_SECONDS = env.float("RAISE_AFTER_SECONDS", default=10.0)
EVENTSTORE_RESOLVE_AFTER_SECONDS = env.float("RESOLVE_AFTER_SECONDS", default=60.0)
EVENTSTORE_MAX_CLOCK_SKEW_SECONDS = env.float("MAX_CLOCK_SKEW_SECONDS", default=2.0)
RENAMED_VARIABLES = {
    old: new
    for old, new in {
        "DATABASE_POOL": "SITE_THREADS",
        "TELL": "NOTIFIERS",
        "WATCH_SECONDS": "HEALTH_CHECK_SECONDS",
        "SILENT_SECONDS": "HEARTBEAT_TIMEOUT_SECONDS",
        "FORGOTTEN_SECONDS": "FORGET_AFTER_SECONDS",
        "STALLED_SECONDS": "STALLED_AFTER_SECONDS",
        "LASTS_SECONDS": "RAISE_AFTER_SECONDS",
        "SETTLED_SECONDS": "RESOLVE_AFTER_SECONDS",
    }.items()
    if old in os.environ
}
"""Variables of the environment that are set under the name that they had; a system check says the new one."""
EVENTSTORE_FEEDER_IDLE_SECONDS = env.float("FEEDER_IDLE_SECONDS", default=1.0)
EVENTSTORE_SETTLE_SECONDS = env.float("SETTLE_SECONDS", default=2.0)
EVENTSTORE_IMPORTS_KEPT_DAYS = env.float("IMPORTS_KEPT_DAYS", default=30.0)
EVENTSTORE_RELAY_URL = env.str("RELAY_URL", default="")
EVENTSTORE_RELAY_NAME = env.str("RELAY_NAME", default="boxoffice.events")
EVENTSTORE_RELAY_TYPES = env.list("RELAY_TYPES", default=[])
EVENTSTORE_RELAY_KEPT = env.int("RELAY_KEPT", default=0)
SAGAS_BEGIN_AFTER = env.dict("SAGAS_BEGIN_AFTER", default={})
SAGAS_OVERDUE_AFTER_SECONDS = env.float("OVERDUE_AFTER_SECONDS", default=30.0)
EFFECTS_LEASE_SECONDS = env.float("EFFECTS_LEASE_SECONDS", default=60.0)
EFFECTS_QUEUES = env.dict("EFFECTS_QUEUES", default={})
EFFECTS_RATES = env.dict("EFFECTS_RATES", default={})
EFFECTS_WINDOWS = env.dict("EFFECTS_WINDOWS", default={})
EFFECTS_TIME_ZONE = env.str("EFFECTS_TIME_ZONE", default=TIME_ZONE)
WEBHOOKS_TIMEOUT_SECONDS = env.float("WEBHOOKS_TIMEOUT_SECONDS", default=10.0)
WEBHOOKS_RETRIED_DAYS = env.float("WEBHOOKS_RETRIED_DAYS", default=3.0)
WEBHOOKS_FORMER_SECRET_HOURS = env.float("WEBHOOKS_FORMER_SECRET_HOURS", default=24.0)
WEBHOOKS_KEPT_DAYS = env.float("WEBHOOKS_KEPT_DAYS", default=30.0)
WEBHOOKS_TO_PRIVATE_ADDRESSES = env.bool("WEBHOOKS_TO_PRIVATE_ADDRESSES", default=False)
