"""Paths that a broker calls, under /broker/v1/; they contain the listener."""

from django.urls import path, register_converter

from registry.api import broker as views


class ListenerConverter:
    """One of the broker's two kinds of listener."""

    regex = f"{views.DEVICES}|{views.PLATFORM}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ListenerConverter, "listener")

urlpatterns = [
    path("emqx/<listener:listener>/authn/", views.emqx_authn),
    path("emqx/authz/", views.emqx_authz),
    path("mosquitto/<listener:listener>/user/", views.mosquitto_user),
    path("mosquitto/<listener:listener>/superuser/", views.mosquitto_superuser),
    path("mosquitto/<listener:listener>/acl/", views.mosquitto_acl),
]
