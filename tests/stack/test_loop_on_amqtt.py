"""The same loop on amqtt, which replaces Mosquitto where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import need_stock_clients
from tests.platform_process import Platform
from tests.stack.test_contract_loop import (
    api,
    test_a_configuration_is_published_retained_and_verified_by_the_report,
    test_a_device_is_created_connects_and_answers_a_command,
    test_a_publish_or_will_on_another_devices_topic_is_not_delivered,
    test_a_wrong_secret_is_refused,
)

__all__ = [
    "api",
    "test_a_configuration_is_published_retained_and_verified_by_the_report",
    "test_a_device_is_created_connects_and_answers_a_command",
    "test_a_publish_or_will_on_another_devices_topic_is_not_delivered",
    "test_a_wrong_secret_is_refused",
]

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def platform_stack() -> Iterator[Platform]:
    """The platform as on a machine without Mosquitto."""
    need_stock_clients()
    platform = Platform(environment={"IOT_BROKER": "amqtt"})
    try:
        platform.start("--demo", "--devices", "5")
        platform.wait_for("/readyz")
        assert "version=3.1.1" in platform.env["MQTT_URL"]
        yield platform
        assert platform.stop() == 0, platform.terminal
    finally:
        platform.discard()
