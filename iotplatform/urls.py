"""All URLs of the project; each app defines its own."""

from allauth.account import views as account
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from console.auth import openid_connect
from iotplatform import error_pages
from iotplatform.monitoring import views
from iotplatform.monitoring.api import PlatformView

admin.autodiscover()

api: list[URLPattern | URLResolver] = [
    path("", include("registry.api.urls")),
    path("", include("state.api.urls")),
    path("", include("commands.api.urls")),
    path("", include("fleet.api.urls")),
    path("", include("console.api.urls")),
    path("platform/", PlatformView.as_view()),
]

# Only the parts of allauth that we use: no sign-up, and no e-mail.
accounts: list[URLPattern | URLResolver] = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),  # shows that it is closed
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", account.password_set, name="account_set_password"),
    path("oidc/login/", openid_connect.begin, name="openid_connect_login"),
    path("oidc/callback/", openid_connect.finish, name="openid_connect_callback"),
    path("connections/", openid_connect.manage, name="socialaccount_connections"),
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
]

urlpatterns = [
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("metrics", views.metrics),
    path("favicon.ico", views.favicon),
    path("api/v1/", include(api)),
    path("device/v1/", include("iotplatform.adapters.http.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema"),
        name="docs",
    ),
    re_path(r"^api/", error_pages.unknown_path),
    re_path(r"^device/", error_pages.unknown_path),
    path("broker/v1/", include("registry.api.broker_urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include(accounts)),
    path("", include("console.urls")),
]

handler400 = error_pages.bad_request
handler403 = error_pages.forbidden
handler404 = error_pages.not_found
handler500 = error_pages.server_error
