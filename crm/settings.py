"""Settings: every one is an environment variable with a working default. docs/settings.md is generated from SETTINGS.

With none set, Tarishi runs on one machine with SQLite, a broker of files and the sandbox, all under `var/`.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from crm.secrets import local_secret

BASE_DIR = Path(__file__).resolve().parent.parent
BUNDLE = Path(__file__).resolve().parent / "bundle"  # of an installed package, made by setup.py
RESOURCES = BUNDLE if BUNDLE.is_dir() else BASE_DIR  # templates, static files, translations, documentation
env = environ.Env()

VAR_DIR = Path(env.str("VAR_DIR", str((Path.cwd() if BUNDLE.is_dir() else BASE_DIR) / "var"))).resolve()
VAR_DIR.mkdir(parents=True, exist_ok=True)

HOST = env.str("HOST", "127.0.0.1")  # the address the web server listens on
PORT = env.int("PORT", 8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", 8001)
SANDBOX_SMPP_PORT = env.int("SANDBOX_SMPP_PORT", SANDBOX_PORT + 1000)
SANDBOX_SMTP_PORT = env.int("SANDBOX_SMTP_PORT", SANDBOX_PORT + 2000)
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}"
PUBLIC_URL = env.str("PUBLIC_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
DEBUG = env.bool("DEBUG", False)
BRAND_NAME = env.str("BRAND_NAME", "Tarishi")
BRAND_DETAILS = env.str("BRAND_DETAILS", "")  # lines of the letterhead, with | between them
BRAND_LOGO = env.str("BRAND_LOGO", "")  # path of an image
BRAND_ACCENT = env.str("BRAND_ACCENT", "")  # such as #0e5a6b; crm/brand.py refuses what cannot be read
SOURCE_URL = env.str("SOURCE_URL", "")


def _secret(name: str, shortest: int) -> str:
    value = env.str(name, "") or local_secret(VAR_DIR, name)
    if len(value) < shortest:
        raise ImproperlyConfigured(f"{name} is too short: give at least {shortest} random characters")
    return value


SECRET_KEY = _secret("SECRET_KEY", 50)
# Fernet keys, newest first, separated by commas: the first encrypts, all decrypt.
ENCRYPTION_KEYS = [key.strip() for key in _secret("ENCRYPTION_KEY", 43).split(",")]

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or [
    "localhost", "127.0.0.1", "[::1]", urlsplit(PUBLIC_URL).hostname or "localhost",
]  # fmt: skip
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
if HTTPS:  # browsers then take these cookies from this very host alone, by HTTPS, for every path
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # accounts.middleware.SessionMiddleware ends idle ones long before
SESSION_SAVE_EVERY_REQUEST = False
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_SSL_REDIRECT = HTTPS and env.bool("SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^api/health$"]  # balancers ask by plain HTTP
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", False) else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "crm",
    "accounts",
    "contacts",
    "wallet",
    "messaging",
    "django.contrib.admin.apps.SimpleAdminConfig",  # crm.urls looks for its pages, which workers do without
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
]
MIDDLEWARE = [
    "crm.watching.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.middleware.ActingMiddleware",
    "accounts.requests.middleware.ApiRequestMiddleware",
    "django.middleware.common.CommonMiddleware",
    "crm.lanes.PagesOnly",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.CurrentClientMiddleware",
    "accounts.middleware.LanguageMiddleware",
    "accounts.middleware.SessionMiddleware",
    "crm.office.view_as.ViewAsMiddleware",
    "crm.lanes.EndOfPagesOnly",
]
ROOT_URLCONF = "crm.urls"
WSGI_APPLICATION = "crm.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [RESOURCES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["crm.templatetags.tarishi"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "crm.context_processors.frame",
            ],
        },
    }
]

# --- database ---------------------------------------------------------------------------------------------------------
# Keeps test databases, queues and cache keys of simultaneous runs apart, and those of pytest-xdist's processes.
_TEST_RUN = env.str("TEST_RUN", "") + env.str("PYTEST_XDIST_WORKER", "")
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'tarishi.sqlite3'}")}
_db = DATABASES["default"]
# A test survives no power cut, and waits for none: FULL would make the suite a third slower on a slow disk.
SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=" + (
    "OFF;" if "PYTEST_VERSION" in os.environ else "FULL;"
)
if _db["ENGINE"].endswith("sqlite3"):
    # Writers queue instead of failing (IMMEDIATE + timeout), and a commit survives a power cut (FULL).
    _db["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": SQLITE_PRAGMAS,
    }
    # A file, not memory: threads of one test must see each other's commits as processes do.
    _db["TEST"] = {"NAME": str(VAR_DIR / f"test{_TEST_RUN and '-' + _TEST_RUN}.sqlite3")}
else:
    # Health must answer when it is away; who is cut off from it notices within half a minute (crm/common/sessions.py).
    _patience = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    _db["OPTIONS"] = _patience | {"tcp_user_timeout": 30_000} | _db.get("OPTIONS", {})
    _db["OPTIONS"].setdefault("prepare_threshold", 3)  # of crm.common.sql.prepared_cursor; no other cursor prepares
    _db["CONN_MAX_AGE"] = 600
    _db["CONN_HEALTH_CHECKS"] = True
    _db["TEST"] = {"NAME": f"test_tarishi{_TEST_RUN and '_' + _TEST_RUN}"}
if env.str("DATABASE_REPLICA_URL", ""):  # follows the database; who reads it says so, see crm/common/replica.py
    _copy = {**_db, **env.db_url("DATABASE_REPLICA_URL"), "TEST": {"MIRROR": "default"}}
    if not _copy["ENGINE"].endswith("sqlite3"):
        _copy["OPTIONS"] = (
            _db["OPTIONS"] | {"connect_timeout": 2} | env.db_url("DATABASE_REPLICA_URL").get("OPTIONS", {})
        )
    DATABASES["replica"] = _copy
DATABASE_ROUTERS = ["crm.common.replica.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- cache and broker -------------------------------------------------------------------------------------------------
CACHE_URL = env.str("CACHE_URL", "")
if CACHE_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}}
else:  # shared by all processes, so that sign-in limits and heartbeats mean the same everywhere
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "crm_cache"}}
    CACHES["default"]["OPTIONS"] = {"MAX_ENTRIES": 100_000}  # at its default of 300, any entry may be culled
CACHES["default"]["KEY_PREFIX"] = f"tarishi{_TEST_RUN}"

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "") or "safefs://localhost"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 3
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker for as long as it takes
# RabbitMQ goes on handing wake-ups to a worker that was cut off until it has missed two of these; seconds.
CELERY_BROKER_HEARTBEAT = 10
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = f"tarishi{_TEST_RUN}"
CELERY_TASK_ROUTES = {"*.heavy.*": {"queue": f"tarishi{_TEST_RUN}-heavy"}}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
if CELERY_BROKER_URL.startswith("safefs"):
    _queue_dir = VAR_DIR / f"broker{_TEST_RUN and '-' + _TEST_RUN}"
    for _folder in ("messages", "control"):
        (_queue_dir / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue_dir / "messages"),
        "data_folder_out": str(_queue_dir / "messages"),
        "control_folder": str(_queue_dir / "control"),
        "polling_interval": 0.2,
    }
else:  # one attempt for a wake-up: a request must not wait for a broker that is away, the sweep finds the work
    CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 1, "interval_start": 0}
    if CELERY_BROKER_URL.startswith("redis"):
        CELERY_BROKER_TRANSPORT_OPTIONS |= {"visibility_timeout": 120, "socket_connect_timeout": 3}
# Sweeps find what a lost wake-up left behind; each expires so that an idle hour does not queue hundreds of them.
CELERY_BEAT_SCHEDULE = {
    "messaging-sweep": {"task": "messaging.sweep", "schedule": 10.0, "options": {"expires": 9}},
    "messaging-months": {"task": "messaging.heavy.months", "schedule": 3600.0, "options": {"expires": 3500}},
    "contacts-sweep": {"task": "contacts.sweep", "schedule": 20.0, "options": {"expires": 19}},
    "wallet-reconcile": {"task": "wallet.heavy.reconcile", "schedule": 3600.0, "options": {"expires": 3500}},
    "wallet-sweep": {"task": "wallet.sweep", "schedule": 15.0, "options": {"expires": 14}},
    "accounts-sweep": {"task": "accounts.sweep", "schedule": 15.0, "options": {"expires": 14}},
}

# --- people -----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "phone*", "password1*"]
ACCOUNT_FORMS = {"signup": "accounts.people_forms.RegistrationForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # of those who register by mail alone; see accounts/stages.py
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PHONE_VERIFICATION_ENABLED = True
ACCOUNT_PHONE_VERIFICATION_TIMEOUT = ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = 10 * 60
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PHONE_VERIFICATION_SUPPORTS_CHANGE = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True  # whoever signs in learns of every change of how
ACCOUNT_LOGIN_ON_PASSWORD_RESET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # every other session ends all the same: the hash changes
ACCOUNT_SIGNUP_REDIRECT_URL = "/app/welcome"
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS and urlsplit(PUBLIC_URL).hostname in ("localhost", "127.0.0.1")
USERSESSIONS_TRACK_ACTIVITY = False  # SessionMiddleware keeps the times
REGISTRATION = env.str("REGISTRATION", "closed" if HTTPS else "open")  # open: anybody may register an organisation
DEFAULT_COUNTRY = env.str("DEFAULT_COUNTRY", "KE").upper()
CLIENT_OPENER = "crm.opening.open_registered_client"
SESSION_IDLE_SECONDS, SESSION_LONGEST_SECONDS = 12 * 3600, 14 * 24 * 3600
STAFF_IDLE_SECONDS, STAFF_LONGEST_SECONDS = 30 * 60, 12 * 3600
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", HTTPS)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/app"
LOGOUT_REDIRECT_URL = "/login"
ACCOUNT_LOGOUT_REDIRECT_URL = "/login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.passwords.NotOurName"},
]
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "tarishi@localhost")

SYSTEM_CLIENT_ID = env.int(
    "SYSTEM_CLIENT_ID", 0
)  # the operator's own client: its sender and wallet send notices by SMS

# --- language, time, files --------------------------------------------------------------------------------------------
LANGUAGE_CODE = env.str("LANGUAGE_CODE", "en")  # for those who never chose one, and whose browser names none of ours
LANGUAGES = [("en", "English"), ("fr", "Français"), ("sw", "Kiswahili")]  # each in its own words
FORMAT_MODULE_PATH = "crm.formats"
LOCALE_PATHS = [RESOURCES / "locale"]
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SECURE = HTTPS
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [RESOURCES / "static"]
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["map", "jpg", "jpeg", "png", "gif", "webp", "gz", "br", "woff", "woff2"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True  # halves what is compressed; templates name files by {% static %} alone
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", str(VAR_DIR / "media")))  # uploads and exports; never served by URL
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20
MAX_IMPORT_BYTES = env.int("MAX_IMPORT_BYTES", 50 << 20)
MAX_IMPORT_ROWS = env.int("MAX_IMPORT_ROWS", 1_000_000)
# So many numbers in a row wait for staff: 250 suits a service for strangers; 0 is never, for one's own installation.
IMPORT_HOLD_CONSECUTIVE = env.int("IMPORT_HOLD_CONSECUTIVE", 0)
# Messages of a client to one number; 0: no limit. Settable per client in the back office.
RECIPIENT_EQUAL_PER_HOUR = env.int("RECIPIENT_EQUAL_PER_HOUR", 20)
RECIPIENT_ANY_PER_HOUR = env.int("RECIPIENT_ANY_PER_HOUR", 100)
RECIPIENT_ANY_PER_DAY = env.int("RECIPIENT_ANY_PER_DAY", 500)

# --- API --------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["crm.common.api.permissions.KeyMayCall"],
    "DEFAULT_RENDERER_CLASSES": ["crm.common.api.renderers.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["crm.common.api.parsers.JsonParser"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttling.KeyThrottle"],
    "EXCEPTION_HANDLER": "crm.common.api.errors.handle_exception",
    "DEFAULT_SCHEMA_CLASS": "crm.docs.schema.ApiSchema",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": f"{BRAND_NAME} API",
    "DESCRIPTION": "Send SMS, follow them to the phone, and keep contacts, campaigns, the wallet and webhooks.",
    "PREPROCESSING_HOOKS": ["crm.docs.schema.only_native"],
    "POSTPROCESSING_HOOKS": ["crm.docs.schema.finish"],
    "COMPONENT_SPLIT_PATCH": False,
    "DISABLE_ERRORS_AND_WARNINGS": False,
}
API_ANSWER_ONCE = "accounts.services.idempotency.answer_once"
API_MAX_BODY_BYTES = 1 << 20
API_REQUEST_LOG_SECONDS = 1.0  # the last API requests are written down in batches, so often
API_RATE_PER_MINUTE = env.int("API_RATE_PER_MINUTE", 600)

# --- outside ----------------------------------------------------------------------------------------------------------
AFRICASTALKING_BASE_URL = env.str("AFRICASTALKING_BASE_URL", "")  # empty: the account's own, else the vendor's
BEEM_BASE_URL = env.str("BEEM_BASE_URL", "")
TWILIO_BASE_URL = env.str("TWILIO_BASE_URL", "")
INFOBIP_BASE_URL = env.str("INFOBIP_BASE_URL", "")
CELCOM_BASE_URL = env.str("CELCOM_BASE_URL", "")
ONFON_BASE_URL = env.str("ONFON_BASE_URL", "")
WHATSAPP_BASE_URL = env.str("WHATSAPP_BASE_URL", "")
NATIVE_BASE_URL = env.str("NATIVE_BASE_URL", "")
SENDING_SLOTS = env.int("SENDING_SLOTS", 256)  # messages in flight per provider account and process
# Timelines of messages go after so many whole months; 0: never. A year's retention of texts must fit in.
EVENT_MONTHS_KEPT = env.int("EVENT_MONTHS_KEPT", 0)
if EVENT_MONTHS_KEPT and EVENT_MONTHS_KEPT < 13:
    raise ImproperlyConfigured("EVENT_MONTHS_KEPT is 0 for all of them, or 13 or more")
MPESA_BASE_URL = env.str("MPESA_BASE_URL", "")  # empty: the account's own, else Safaricom's
MPESA_CREDENTIALS = {  # an account of its own once MPESA_SHORTCODE is set; others are entered in the back office
    "kind": env.str("MPESA_KIND", "paybill"),
    "shortcode": env.str("MPESA_SHORTCODE", ""),
    "till": env.str("MPESA_TILL", ""),
    "passkey": env.str("MPESA_PASSKEY", ""),
    "consumer_key": env.str("MPESA_CONSUMER_KEY", ""),
    "consumer_secret": env.str("MPESA_CONSUMER_SECRET", ""),
}
MPESA_HAS_STATEMENT = env.bool("MPESA_HAS_STATEMENT", False)
TOPUP_MIN = env.int("TOPUP_MIN", 100)  # whole shillings
TOPUP_MAX = env.int("TOPUP_MAX", 50_000)
TRIAL_UNITS = env.int("TRIAL_UNITS", 0)  # free units of a new client
ADJUSTMENT_ALONE_UP_TO = env.int("ADJUSTMENT_ALONE_UP_TO", 10_000)
WEBHOOK_ALLOWED_NETWORKS = env.list("WEBHOOK_ALLOWED_NETWORKS", default=[])
WEBHOOK_ALLOW_HTTP = env.bool("WEBHOOK_ALLOW_HTTP", False)
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", 0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "object-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    }
}

# Who may read /metrics: bearers of the token, and callers from these networks; nobody while both are empty.
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
METRICS_NETWORKS = env.list("METRICS_NETWORKS", default=[])
# Who takes traces, such as http://collector:4318; its other OTEL_… variables are read by OpenTelemetry itself.
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    MIDDLEWARE.insert(1, "crm.watching.traces.TraceMiddleware")
    MIDDLEWARE.append("crm.watching.traces.IdsMiddleware")
LOG_FORMAT = env.str("LOG_FORMAT", "line")  # or json
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "crm.logs.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery": {"level": env.str("CELERY_LOG_LEVEL", "WARNING")},
        "kombu": {"level": "WARNING"},
    },
}

if "PYTEST_VERSION" in os.environ:  # tests need no collected static files and a cheap password hash
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    API_REQUEST_LOG_SECONDS = 0  # no thread: a test writes them down itself
    MEDIA_ROOT = VAR_DIR / f"test-media{_TEST_RUN and '-' + _TEST_RUN}"
