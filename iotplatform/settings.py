"""Settings of every process; each value comes from the environment.

At its start, the embedded stack writes the addresses of its stores to
``$IOT_DATA_DIR/run/env``. Variables of the environment override that file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ

from iotplatform.database.process_roles import OWNER, default_role

# Allow ModelAdmin[Device] and the like at run time too.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
DATA_DIR = Path(env.str("IOT_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
env.read_env(DATA_DIR / "run" / "env", overwrite=False)

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "iotplatform.admin_config.PlatformAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "iotplatform",
    "registry",
    "state",
    "commands",
    "fleet",
    "console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "iotplatform.middleware.StorableTextMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "registry.middleware.TenantScopeMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "console.auth.session_policy.SessionRulesMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.middleware.TimeZoneMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it answers a refused sign-in
]

ROOT_URLCONF = "iotplatform.urls"
WSGI_APPLICATION = "iotplatform.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context.console",  # only the console's templates use it
            ],
        },
    }
]

# Stores. Without a URL, the embedded store is used; its address is in run/env.
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres:///iotplatform")}
DATABASES["default"]["ENGINE"] = "iotplatform.common.postgres"
DATABASES["default"]["OPTIONS"] = {
    "application_name": env.str("PROCESS_NAME", "manage"),
    # A server that is down or unreachable must become an error within a minute.
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# Each process uses a role that owns nothing: row-level security does not bind owners.
DATABASE_ROLE = env.str("DATABASE_ROLE", default="") or default_role(sys.argv)
DATABASES["default"]["OPTIONS"]["options"] = (
    "-c iot.unwalled=on" if DATABASE_ROLE == OWNER else f"-c role={DATABASE_ROLE}"
)
# After a restart of the database, reconnect instead of failing on each old connection.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if env.bool("DATABASE_POOL", default=False):
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", default=16),
        "timeout": 10,
        # The pauses between its tries double. Giving up makes the next request try at
        # once; else it goes on refusing long after the database is back.
        "reconnect_timeout": 10,
    }

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
MQTT_URL = env.str("MQTT_URL", default="mqtt://127.0.0.1:1883?version=5&share=bridge")
# Without a URL the search index is the embedded one, in IOT_DATA_DIR. Its indices in
# Elasticsearch begin with the name, so that several installations can share a cluster.
ELASTICSEARCH_URL = env.str("ELASTICSEARCH_URL", default="")
ELASTICSEARCH_INDEX = env.str("ELASTICSEARCH_INDEX", default="iot-fleet")
ELASTICSEARCH_CA_FILE = env.str("ELASTICSEARCH_CA_FILE", default="")
BRIDGE_SLOTS = env.int("BRIDGE_SLOTS", default=1)
# A bridge that processes none of its waiting messages for this long exits, and its
# supervisor restarts it. Longer than any batch, and than any time-out of a store.
BRIDGE_STILL_SECONDS = env.float("BRIDGE_STILL_SECONDS", default=60.0)
# How the broker gets device credentials: "files" (manage.py mosquitto_files writes
# them, and the POST of a credential waits for that), "http" (the broker asks
# /broker/v1/, with BROKER_SECRET) or "none" (the operator's own way).
BROKER_CREDENTIALS = env.str("BROKER_CREDENTIALS", default="none")
BROKER_SECRET = env.str("BROKER_SECRET", default="")
# The broker's address that devices get when they enrol.
DEVICE_MQTT_URL = env.str(
    "DEVICE_MQTT_URL", default=f"mqtt://127.0.0.1:{env.str('MQTT_PORT', '1883')}"
)

# The platform's address for devices: where they upload logs and download firmware.
DEVICE_HTTP_URL = env.str(
    "DEVICE_HTTP_URL", default=f"http://127.0.0.1:{env.str('PORT', '8000')}"
)
# The longest file that a device may upload, and how long it is kept.
DEVICE_FILE_MAX_BYTES = env.int("DEVICE_FILE_MAX_BYTES", default=8 * 1024 * 1024)
DEVICE_FILE_DAYS = env.int("DEVICE_FILE_DAYS", default=30)

# The mail server, as in smtp+tls://name:password@mail.example.com:587; without it no
# mail is sent, and the delivery log says so.
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="iotplatform@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# The console's address for people, without a slash at its end: messages link to it.
CONSOLE_URL = env.str("CONSOLE_URL", default="").rstrip("/")

# How many long polls of devices may wait in one web process: each uses a thread, and
# the console needs threads too.
DEVICE_POLLS = env.int("DEVICE_POLLS", default=8)
# A device process (manage.py device_http) holds them without a thread each, this many.
DEVICE_WAITS = env.int("DEVICE_WAITS", default=20_000)
# The Unix socket over which web processes hand waiting polls to the device process of
# their machine; without it, they let DEVICE_POLLS wait themselves.
DEVICE_HTTP_SOCKET = env.str("DEVICE_HTTP_SOCKET", default="")
# The same for requests of scripts that wait: for the end of a command or job, and (as
# many again) for the index.
API_WAITS = env.int("API_WAITS", default=4)

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        # Without Redis, a request must fail within seconds instead of hanging.
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

# Users and sign-in.
AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "console.auth.allauth_adapters.AccountAdapter"
# django-axes limits tries of passwords; this limits tries of second-factor codes.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/15m/key"}
# Sign-in by an OpenID Connect provider is on when these three are set.
OIDC_SERVER_URL = env.str("OIDC_SERVER_URL", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_NAME = env.str("OIDC_NAME", default="") or "single sign-on"
# Whether an unknown person gets an account, which belongs to no tenant.
OIDC_SIGN_UP = env.bool("OIDC_SIGN_UP", default=False)
SOCIALACCOUNT_ADAPTER = "console.auth.allauth_adapters.ProviderAdapter"
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {"provider_class": "console.auth.openid_connect.SignInProvider"}
}
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True
MFA_ADAPTER = "console.auth.allauth_adapters.SecondFactorAdapter"
MFA_TOTP_ISSUER = env.str("SECOND_FACTOR_ISSUER", default="iotplatform")
# Who needs a second factor: superusers, admins (of a tenant), everybody.
SECOND_FACTOR_REQUIRED_OF = env.list("SECOND_FACTOR_REQUIRED_OF", default=[])
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "account/lockout.html"
AXES_LOCKOUT_CALLABLE = "iotplatform.error_pages.locked_out"
# Sign out a forgotten browser after a working day.
SESSION_COOKIE_AGE = 12 * 3_600
ACCOUNT_SESSION_REMEMBER = True
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=2 * 3_600)

# Security.
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=False)
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
# W021 asks for the browsers' preload list. That is hard to leave, and only for owners
# of a whole domain.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", False) else None
)
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "iotplatform.error_pages.csrf_failed"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# REST.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["iotplatform.common.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "iotplatform.common.pagination.OpaqueCursorPagination",
    "PAGE_SIZE": 100,
    "DEFAULT_SCHEMA_CLASS": "iotplatform.openapi.schema.PlatformSchema",
    "DEFAULT_THROTTLE_CLASSES": ["iotplatform.common.throttling.PerKeyThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "key": env.str("API_RATE", default="6000/min"),
        "device": env.str("DEVICE_RATE", default="600/min"),
        "enrol": env.str("ENROL_RATE", default="120/min"),
    },
    "EXCEPTION_HANDLER": "iotplatform.common.problems.answer_problem",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "IoT device-management platform",
    "DESCRIPTION": "Registry, state, commands and fleet search of device fleets.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    # Operations get their names from the rest of the path; devices have another prefix.
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "registry.api.openapi.add_problems",
        "iotplatform.adapters.http.openapi.add_shapes",
    ],
    # Fields with the same name but different choices need different names.
    "ENUM_NAME_OVERRIDES": {
        "DeviceKindEnum": "registry.choices.DeviceKind",
        "CredentialKindEnum": "registry.models.credentials.CredentialKind",
        "KnownByEnum": "state.choices.KnownBy",
        "LifecycleEnum": "registry.choices.Lifecycle",
        "CommandStatusEnum": "commands.choices.CommandStatus",
        "JobStatusEnum": "commands.choices.JobStatus",
        "EditStatusEnum": "fleet.choices.EditStatus",
        "ReplayOutcomeEnum": "state.choices.ReplayOutcome",
        "StepKindEnum": "console.choices.StepKind",
        "StepStatusEnum": "console.choices.StepStatus",
        "RunStatusEnum": "console.choices.RunStatus",
        "DeliveryStatusEnum": "console.choices.DeliveryStatus",
        "IncidentCauseEnum": "console.choices.IncidentCause",
        "TargetKindEnum": "console.choices.TargetKind",
    },
}

# Celery: a task only triggers a look at the database, so losing one is harmless.
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "max_retries": 1,
}
CELERY_TASK_TIME_LIMIT = 300
# An idle platform runs 10 tasks a second: to connect for each costs more than the task.
CELERY_DB_REUSE_MAX = 1_000
CELERY_TIMEZONE = "UTC"

# Time and language.
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = "iotplatform.formats"

# Static files: ours, and the libraries that npm installed.
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS: list[Any] = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "console.npm_finder.NpmFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = DATA_DIR / "media"
# The largest file of a firmware release.
FIRMWARE_MAX_BYTES = env.int("FIRMWARE_MAX_BYTES", default=256 * 1024 * 1024)
FILE_UPLOAD_HANDLERS = [
    "iotplatform.common.uploads.BoundedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# The fleet index.
INDEX_DIR = DATA_DIR / "index"

# Set by the embedded stack when it loads a demo fleet; /readyz waits for this file.
DEMO_READY_FILE = env.str("DEMO_READY_FILE", default="")

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "axes.apps": {"level": "WARNING"},  # it logs a greeting at each start
        "elastic_transport": {"level": "WARNING"},  # it logs each request
    },
}
