"""Fixtures: a broker, bridges that end with the test, and a device."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.adapters.bridge_process import BridgeProcess
from tests.adapters.sender import Sender
from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto
from tests.factories import DeviceFactory


@pytest.fixture
def broker() -> Iterator[BrokerProcess]:
    """A new broker for each test: it keeps the session of every slot that ever was."""
    need_mosquitto()
    process = BrokerProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def start(broker: BrokerProcess) -> Iterator[Callable[..., BridgeProcess]]:
    """Start bridges that are killed at the end of the test."""
    started: list[BridgeProcess] = []

    def start_one(*, slots: int = 1, **settings: str) -> BridgeProcess:
        started.append(BridgeProcess(broker.url, slots=slots, **settings).start())
        return started[-1]

    yield start_one
    for bridge in started:
        bridge.send(signal.SIGCONT)
        bridge.kill()


@pytest.fixture
def sender(broker: BrokerProcess) -> Iterator[Sender]:
    """A device that records all events that it sends."""
    sender = Sender(broker, DeviceFactory.create())
    yield sender
    sender.close()
