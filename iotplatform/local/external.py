"""Stores that the environment names; checked before anything else starts."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import psutil
import psycopg
import redis

from iotplatform.database.rights import missing_rights
from iotplatform.database.row_security import ROLES
from iotplatform.local.errors import SetupError
from iotplatform.local.ports import answers

STORE_URLS = ("DATABASE_URL", "REDIS_URL", "MQTT_URL")
SECONDS = 5
PROBE = "iotplatform:probe"


def original_environment() -> dict[str, str]:
    """The environment that this process was started with.

    Not ``os.environ``: Django's settings have added to it what the last start wrote to
    ``run/env``.
    """
    return dict(psutil.Process().environ())


def store_urls(environment: Mapping[str, str]) -> dict[str, str]:
    """The URLs of the stores that the environment names."""
    return {name: environment[name] for name in STORE_URLS if environment.get(name)}


def check_reachable(urls: dict[str, str]) -> None:
    """Raise SetupError for the first store that does not answer."""
    checks = {
        "DATABASE_URL": _check_database,
        "REDIS_URL": _check_redis,
        "MQTT_URL": _check_broker,
    }
    for name, url in urls.items():
        checks[name](url)


def _where(name: str, url: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "127.0.0.1", parts.port or default_port
    except ValueError as error:
        raise SetupError(f"{name} is not a valid URL: {error}.") from error


def _refuse(name: str, host: str, port: int, why: object) -> SetupError:
    reason = str(why).strip().splitlines()[-1] if str(why).strip() else "no answer"
    return SetupError(
        f"{name} names {host} port {port}, but that cannot be used: {reason}\n"
        f"Start that store, correct {name}, or unset it to use the embedded one."
    )


def _check_database(url: str) -> None:
    host, port = _where("DATABASE_URL", url, 5432)
    try:
        with psycopg.connect(url, connect_timeout=SECONDS) as connection:
            refused = missing_rights(connection.cursor(), ROLES)
    except psycopg.Error as error:
        raise _refuse("DATABASE_URL", host, port, error) from error
    if refused:
        raise SetupError(f"DATABASE_URL names {host} port {port}. {refused}")


def _check_redis(url: str) -> None:
    host, port = _where("REDIS_URL", url, 6379)
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
        )
        client.ping()
        # A replica, a full server or a user with few rights answers, but refuses these.
        client.set(PROBE, "1", ex=1)
        client.publish(PROBE, "")
        client.delete(PROBE)
        client.close()
    except (redis.RedisError, ValueError) as error:
        raise _refuse("REDIS_URL", host, port, error) from error


def _check_broker(url: str) -> None:
    host, port = _where("MQTT_URL", url, 1883)
    if not answers(host, port, SECONDS):
        raise _refuse("MQTT_URL", host, port, "nothing accepts connections.")
