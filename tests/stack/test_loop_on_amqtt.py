"""The same loop where Mosquitto is not installed: on the broker that stands in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import need_stock_clients
from tests.platform_process import Platform
from tests.stack.test_contract_loop import (
    api,
    test_a_configuration_is_published_retained_and_verified_by_what_is_reported,
    test_a_device_is_created_connects_and_answers_a_command,
    test_a_wrong_secret_is_refused,
    test_another_devices_topic_and_will_reach_nobody,
)

__all__ = [
    "api",
    "test_a_configuration_is_published_retained_and_verified_by_what_is_reported",
    "test_a_device_is_created_connects_and_answers_a_command",
    "test_a_wrong_secret_is_refused",
    "test_another_devices_topic_and_will_reach_nobody",
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
