"""System checks explain wrong settings before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from iotplatform import checks

STRONG = "n0t-s0-easily-guessed-0123456789-abcdefghij"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "", ["iotplatform.E002"]),
        ("SECRET_KEY", "short", ["iotplatform.E003"]),
        ("SECRET_KEY", "a" * 60, ["iotplatform.E003"]),
        ("SECRET_KEY", STRONG, []),
        ("MQTT_URL", "http://host:1883", ["iotplatform.E004"]),
        ("MQTT_URL", "mqtt://", ["iotplatform.E004"]),
        ("MQTT_URL", "mqtt://host:port", ["iotplatform.E004"]),
        ("MQTT_URL", "mqtt://host:1883?version=4", ["iotplatform.E004"]),
        (
            "MQTT_URL",
            "mqtt://host:1883?version=3.1.1&share=bridge",
            ["iotplatform.E004"],
        ),
        ("MQTT_URL", "mqtt://host:1883?version=3.1.1&share=", []),
        ("MQTT_URL", "mqtt://%40bridge:x@host:1883?version=5&share=bridge", []),
        ("ELASTICSEARCH_URL", "https://iot:secret@host:9200", []),
        ("ELASTICSEARCH_URL", "http://host", ["iotplatform.E009"]),
        ("ELASTICSEARCH_URL", "host:9200", ["iotplatform.E009"]),
        ("ELASTICSEARCH_URL", "http://host:none", ["iotplatform.E009"]),
        ("BROKER_CREDENTIALS", "ldap", ["iotplatform.E005"]),
        ("BROKER_CREDENTIALS", "http", ["iotplatform.E006"]),
        ("BROKER_CREDENTIALS", "files", []),
    ],
)
def test_wrong_settings_are_reported(
    settings: Any, name: str, value: str, expected: list[str]
) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = STRONG
    settings.ELASTICSEARCH_URL = ""
    setattr(settings, name, value)

    found = [
        message.id
        for check in (
            checks.check_secret_key,
            checks.check_mqtt_url,
            checks.check_search_index,
            checks.check_broker_credentials,
        )
        for message in check()
    ]

    assert found == expected


@pytest.mark.parametrize(
    ("url", "secret", "expected"),
    [
        ("", "", []),
        ("https://id.example.com", "s", []),
        ("http://localhost:8080/realms/staff", "s", []),
        ("https://id.example.com", "", ["iotplatform.E007"]),
        ("", "s", ["iotplatform.E007"]),
        ("http://id.example.com", "s", ["iotplatform.E008"]),
        ("ftp://localhost", "s", ["iotplatform.E008"]),
        ("id.example.com", "s", ["iotplatform.E008"]),
    ],
)
def test_single_sign_on_needs_all_settings_and_https(
    settings: Any, url: str, secret: str, expected: list[str]
) -> None:
    settings.OIDC_SERVER_URL = url
    settings.OIDC_CLIENT_ID = "us" if url else ""
    settings.OIDC_CLIENT_SECRET = secret

    assert [message.id for message in checks.check_single_sign_on()] == expected


def test_an_old_python_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 4))

    assert [message.id for message in checks.check_python()] == ["iotplatform.E001"]
