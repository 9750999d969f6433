"""Django settings. Every value that differs between machines comes from the environment (env.py)."""

import logging

import dj_database_url
import django_stubs_ext
import structlog
from csp.constants import NONE, SELF

from contracts import logs, names
from deepseek_web import oidc
from deepseek_web.env import BASE_DIR, VAR_DIR, env, env_bool, env_int, env_list, load_env_file

load_env_file()
django_stubs_ext.monkeypatch()  # lets `ModelForm[User]` be written, as the type checker wants it

DEBUG = env_bool("DEBUG")
SECRET_KEY = env("SECRET_KEY")
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")  # keys of the past, the newest first
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
HTTPS = env_bool("HTTPS")  # the site is reached over https, perhaps through a proxy
SIGNUP_OPEN = env_bool("SIGNUP_OPEN", default=True)
ARTIFACTS_DIR = env("ARTIFACTS_DIR", str(VAR_DIR / "artifacts"))
ARTIFACT_STORE = env("ARTIFACT_STORE", "").rstrip("/")  # s3://bucket/prefix; empty: ARTIFACTS_DIR

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "apps.audit",
    "apps.accounts",
    "apps.jobs",
    "apps.registry",
    "apps.serving",
    "apps.notices",
    "apps.quotas",
    "apps.chat",
    "apps.classify",
    "apps.search",
    "apps.anomaly",
    "apps.teach",
    "apps.api",
    "apps.console",
    "apps.home",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "deepseek_web.middleware.person_time_zone",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "deepseek_web.urls"
ASGI_APPLICATION = "deepseek_web.asgi.application"

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
                "deepseek_web.context.frame",
            ],
        },
    },
]

# --- stores

DATABASES = {"default": dj_database_url.parse(env("DATABASE_URL"))}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # connections of a database that was restarted are replaced
DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
    "min_size": 1,
    "max_size": env_int("DATABASE_POOL", 8),
    # Seconds. Who asks waits for a database that is just being restarted; longer, and a page says so. The waits between
    # attempts to connect double until they are given up: then the next who asks begins with the shortest again.
    "timeout": 5,
    "reconnect_timeout": 5,
}
REDIS_URL = env("REDIS_URL")
CACHES = {"default": {"BACKEND": "deepseek_web.cache.SharedRedisCache", "LOCATION": REDIS_URL}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# --- people

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_FORMS = {"signup": "apps.accounts.forms.SignupForm"}
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a changed password or second factor is told by mail
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60  # seconds
# Counted in Redis, for all processes. The address is what uvicorn takes for the client's: docs/accounts.md.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    "api_key_failed": "60/m/ip",  # apps/api/auth.py
}
MFA_ADAPTER = "apps.accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody's is verified: an address may be unreachable from here
MFA_RATE_LIMITS = {"webauthn_login": "30/m/ip"}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "DeepSeek Web"
MFA_TOTP_TOLERANCE = 1  # clocks of telephones go wrong
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
SOCIALACCOUNT_ADAPTER = "apps.accounts.adapter.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS = oidc.providers()
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True  # an account here and one there are the same when the provider vouches
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
OIDC_ROLE_CLAIM = env("OIDC_ROLE_CLAIM", "")
OIDC_ROLES = oidc.roles()
OIDC_SIGNUP = env_bool("OIDC_SIGNUP")  # whoever the provider knows may have an account
INVITATION_DAYS = env_int("INVITATION_DAYS", 7)
EMAIL_BACKEND = env("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")
EMAIL_HOST, EMAIL_PORT = env("EMAIL_HOST", "localhost"), env_int("EMAIL_PORT", 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = env("EMAIL_HOST_USER", ""), env("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 10  # seconds: somebody waits for the page meanwhile
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", "deepseek-web@localhost")

# --- tongue and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env("TIME_ZONE", "UTC")
USE_I18N = USE_TZ = True

# --- static files

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "deepseek_web.storage.WholeFiles"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "deepseek_web.storage.StaticStorage"
    },
}
MEDIA_ROOT = VAR_DIR / "media"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

# --- safety

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "media-src": [SELF, "data:"],
        "style-src": [SELF],
        "script-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Other sites of the domain may be reached over http, and a browser's list is hard to leave: the operator's decision.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env_bool("HSTS_SUBDOMAINS")
SECURE_HSTS_PRELOAD = env_bool("HSTS_PRELOAD")
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # which ask for both
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Celery: the app side only; workers/app.py configures the other

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = names.APP_QUEUE
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# In memory: every entry is an interval of seconds, and a file cut short by a kill kept beat from starting again.
CELERY_BEAT_SCHEDULER = "celery.beat.Scheduler"
CELERY_BEAT_SCHEDULE = {
    "bring requests and deployments in line with what is wanted": {
        "task": names.RECONCILE_TASK,
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "show and recover jobs": {"task": names.RECOVER_JOBS_TASK, "schedule": 2.0, "options": {"expires": 5}},
    "go on with files that are classified": {
        "task": names.SWEEP_BATCHES_TASK,
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "go on with pictures that are read and indexed": {
        "task": names.SWEEP_SEARCH_TASK,
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "go on with what is taught": {"task": names.SWEEP_TEACH_TASK, "schedule": 10.0, "options": {"expires": 10}},
    "write the readings of simulated plants": {
        "task": names.SIMULATE_TASK,
        "schedule": 2.0,
        "options": {"expires": 4},
    },
    "look after assets, detectors and deliveries": {
        "task": names.WATCH_ANOMALY_TASK,
        "schedule": 5.0,
        "options": {"expires": 10},
    },
    "make partitions, remove old readings and notices": {
        "task": names.TEND_ANOMALY_TASK,
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "store refusals, give lost reservations back": {
        "task": names.SWEEP_QUOTAS_TASK,
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "sum up what was used": {"task": names.ROLL_UP_TASK, "schedule": 60.0, "options": {"expires": 60}},
    "fail answers whose request is gone": {"task": names.SWEEP_TASK, "schedule": 60.0, "options": {"expires": 60}},
}

# --- jobs of worker-train

JOB_MEMORY_LIMIT_GB = env_int("JOB_MEMORY_LIMIT_GB", 8)
JOB_TIME_LIMIT = env_int("JOB_TIME_LIMIT", 3600)  # seconds
IMPORT_ROOTS = env_list("IMPORT_ROOTS", str(VAR_DIR / "imports"))  # models are imported from below these folders
IMPORT_MAX_GB = env_int("IMPORT_MAX_GB", 40)

# --- limits of a request

REQUEST_DEADLINE = env_int("REQUEST_DEADLINE", 600)  # seconds from submission to the last token
MAX_CONTEXT_LENGTH = env_int("MAX_CONTEXT_LENGTH", 4096)  # worst case memory grows with it
CLASSIFY_MAX_FILE_MB = env_int("CLASSIFY_MAX_FILE_MB", 20)
DATA_DIR = env("DATA_DIR", "../shared/data")  # public data sets: the demo collection takes its emoji from there
UPLOAD_KEEP_DAYS = env_int("UPLOAD_KEEP_DAYS", 7)  # files that were sent and that nobody has had read
SEARCH_MAX_FILE_MB = env_int("SEARCH_MAX_FILE_MB", 50)  # of one picture
SEARCH_MAX_ARCHIVE_MB = env_int("SEARCH_MAX_ARCHIVE_MB", 4096)  # of a ZIP file, packed and unpacked
SEARCH_MAX_MEGAPIXELS = env_int("SEARCH_MAX_MEGAPIXELS", 80)
SEARCH_BUILD_MB = env_int("SEARCH_BUILD_MB", 1024)  # memory in which PostgreSQL builds the graph of one collection
SEARCH_DECODERS = env_int("SEARCH_DECODERS", 2)  # processes of each worker-app
SEARCH_DECODER_MB = env_int("SEARCH_DECODER_MB", 1024)  # memory that one of them may have
SEARCH_DECODER_SECONDS = env_int("SEARCH_DECODER_SECONDS", 20)  # for one picture
TEACH_MAX_FILE_MB = env_int("TEACH_MAX_FILE_MB", 10)  # of one picture
ANOMALY_MAX_FILE_MB = env_int("ANOMALY_MAX_FILE_MB", 500)  # of readings
ANOMALY_READER_MB = env_int("ANOMALY_READER_MB", 2048)  # address space of the process that reads them
ANOMALY_READER_SECONDS = env_int("ANOMALY_READER_SECONDS", 60)  # for the first look, and for each slice of rows
ANOMALY_DEMO = env_bool("ANOMALY_DEMO", default=True)  # a simulated plant from the first start on
ANOMALY_PRIVATE_WEBHOOKS = env_list("ANOMALY_PRIVATE_WEBHOOKS")  # private networks that webhooks may be in
SITE_URL = env("SITE_URL", "").rstrip("/")  # https://models.example.com, for links in messages
MQTT_URL = env("MQTT_URL", "")  # mqtt://user:password@host:1883, mqtts:// with TLS: manage.py follow_mqtt
MQTT_TOPICS = env("MQTT_TOPICS", "readings/+/+")  # that end with an asset's id and a sensor's key
MQTT_KEY = env("MQTT_KEY", "")  # an API key: readings are of the assets that its owner works with
MAX_MESSAGE_CHARS = env_int("MAX_MESSAGE_CHARS", 200_000)
QUOTA_MAX_OUTPUT = env_int("QUOTA_MAX_OUTPUT", 16_384)  # tokens that are reserved for one answer at the most
QUOTA_COMPUTE_MS = env_int("QUOTA_COMPUTE_MS", 1000)  # reserved for a job, or the first request of a revision

if not ANOMALY_DEMO:
    del CELERY_BEAT_SCHEDULE["write the readings of simulated plants"]


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not being ready yet is what /readyz is asked for each second, not an error."""
    request = getattr(record, "request", None)
    return getattr(request, "path", "") != "/readyz"


# The supervisor of `make run` names its processes; a container is told.
PROCESS_NAME = env("PROCESS_NAME", env("SUPERVISOR_PROCESS_NAME", "web"))
LOGGING = logs.configuration(PROCESS_NAME, level=env("LOG_LEVEL", "INFO"), form=env("LOG_FORMAT", "lines"))
LOGGING["filters"] = {"worth a line": {"()": "django.utils.log.CallbackFilter", "callback": _is_worth_a_line}}
LOGGING["handlers"]["console"]["filters"] = ["worth a line"]
structlog.configure(
    processors=[structlog.stdlib.render_to_log_kwargs],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
